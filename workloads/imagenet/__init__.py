"""ImageNet: photographs of a thousand classes, told apart by a ResNet-50 or a ViT."""
