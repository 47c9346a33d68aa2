"""ImageNet: photographs of a thousand classes, told apart by a ResNet-50 or a ViT."""

from workloads.image_classification.workload import ImageClassification
from workloads.imagenet.resnet import ResNet
from workloads.imagenet.vit import ViT


class ImagenetResNet(ImageClassification):
    """Image classification by a ResNet-50; targets [B] int64."""

    network = ResNet
    output_params = ("fc.weight", "fc.bias")


class ImagenetViT(ImageClassification):
    """Image classification by a ViT; targets [B] int64, or [B, K] float32 of mixed pictures."""

    network = ViT
    output_params = ("head.weight", "head.bias")
