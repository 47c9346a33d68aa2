"""CIFAR-10: 32x32 colour photographs of ten classes, ResNet-18."""
