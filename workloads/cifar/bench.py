"""What is measured of CIFAR-10?  Colour images of its shape."""

from workloads.image_classification.bench import ImageBench


class CifarBench(ImageBench):
    """Three channels."""

    @property
    def image(self) -> tuple[int, int, int]:
        return 3, self.options["side"], self.options["side"]


BENCH = CifarBench
