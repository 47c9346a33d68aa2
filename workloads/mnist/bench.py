"""What is measured of MNIST, and of digits?  Grey images of their shape."""

from workloads.image_classification.bench import ImageBench


class MnistBench(ImageBench):
    """One channel."""

    @property
    def image(self) -> tuple[int, int, int]:
        return 1, self.options["height"], self.options["width"]


BENCH = MnistBench
