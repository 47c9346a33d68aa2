"""The handwritten digits that scikit-learn ships, on MNIST's workload."""
