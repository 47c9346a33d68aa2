"""MNIST: 28x28 grey digits, one hidden layer."""
