"""CIFAR-10 photographs, ResNet-18: convolutions and batch norm at development size (not scored)."""

from workloads.cifar.model import ResNet
from workloads.image_classification.workload import ImageClassification


class CifarWorkload(ImageClassification):
    """Image classification by a ResNet."""

    network = ResNet
    output_params = ("fc.weight", "fc.bias")
