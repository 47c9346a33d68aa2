"""MNIST digits, one hidden layer: the smallest complete workload (for tests and first steps; not
scored).  Also of the digits that scikit-learn ships (conf/workload/digits.yaml).
"""

from workloads.image_classification.workload import ImageClassification
from workloads.mnist.model import Mlp


class MnistWorkload(ImageClassification):
    """Image classification by an Mlp."""

    network = Mlp
    output_params = ("net.layer2.weight", "net.layer2.bias")
