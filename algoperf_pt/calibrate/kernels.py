"""How long do fixed kernels take?  Matrix products, convolution, attention, copying memory and
decoding JPEG, on data from a fixed seed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from algoperf_pt.errors import ConfigError
from algoperf_pt.optional import need

Run = Callable[[], object]


@dataclass(frozen=True)
class Kernel:
    """One kernel.

    Attributes:
        name: as in the calibration.
        size: what it works on; two figures are of the same kernel if these are equal.
        make: allocates, and returns what is timed; raises ConfigError where it cannot run here.
        on_cpu: whether it runs on the CPU whatever the device.
    """

    name: str
    size: dict[str, Any]
    make: Callable[[torch.device, torch.Generator], Run]
    on_cpu: bool = False


def kernels(sizes: dict[str, Any]) -> Iterator[Kernel]:
    """All kernels of one device.

    Args:
        sizes: of the device, as in sizes.yaml.
    """
    product, conv, attention = (sizes[name] for name in ("matmul", "convolution", "attention"))
    yield Kernel("matmul_float32", product, lambda d, g: _product(product, torch.float32, d, g))
    yield Kernel("matmul_tf32", product, lambda d, g: _tf32(product, d, g))
    yield Kernel("matmul_bfloat16", product, lambda d, g: _product(product, torch.bfloat16, d, g))
    yield Kernel("convolution", conv, lambda d, g: _conv(conv, d, g))
    yield Kernel("attention", attention, lambda d, g: _attention(attention, d, g))
    yield Kernel("copy", sizes["copy"], lambda d, g: _copy(sizes["copy"], d))
    yield Kernel("jpeg", sizes["jpeg"], lambda d, g: _jpeg(sizes["jpeg"], g), on_cpu=True)


def _product(size: dict[str, Any], dtype: torch.dtype, d: torch.device, g: torch.Generator) -> Run:
    a, b = (_drawn((size["side"], size["side"]), d, g).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    return lambda: torch.mm(a, b, out=out)


def _tf32(size: dict[str, Any], d: torch.device, g: torch.Generator) -> Run:
    if d.type != "cuda" or torch.cuda.get_device_capability(d)[0] < 8:
        raise ConfigError("this device has no TF32", expected="a GPU since Ampere")
    product = _product(size, torch.float32, d, g)

    def run() -> None:
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = True
        try:
            product()
        finally:
            torch.backends.cuda.matmul.allow_tf32 = before

    return run


def _conv(size: dict[str, Any], d: torch.device, g: torch.Generator) -> Run:
    pixels, channels = size["pixels"], size["channels"]
    images = _drawn((size["batch"], channels, pixels, pixels), d, g)
    filters = _drawn((size["filters"], channels, 3, 3), d, g)
    return lambda: F.conv2d(images, filters, padding=1)


def _attention(size: dict[str, Any], d: torch.device, g: torch.Generator) -> Run:
    shape = (size["batch"], size["heads"], size["length"], size["width"])
    dtype = torch.bfloat16 if d.type == "cuda" else torch.float32  # the fast kernels need 16 bits
    q, k, v = (_drawn(shape, d, g).to(dtype) for _ in range(3))
    return lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True)


def _copy(size: dict[str, Any], d: torch.device) -> Run:
    source = torch.ones(size["megabytes"] * 2**18, device=d)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def _jpeg(size: dict[str, Any], g: torch.Generator) -> Run:
    """Of a picture that is smooth with some grain, as photographs are."""
    codec = need("simplejpeg", "imagenet")
    side = size["pixels"]
    coarse = torch.rand((1, 3, side // 16, side // 16), generator=g)
    smooth = F.interpolate(coarse, size=(side, side), mode="bilinear")[0].permute(1, 2, 0)
    grain = 0.1 * torch.rand((side, side, 3), generator=g)
    picture = ((smooth + grain).clamp(0, 1) * 255).to(torch.uint8).contiguous().numpy()
    content = codec.encode_jpeg(picture, quality=size["quality"], colorspace="RGB")
    return lambda: codec.decode_jpeg(content, colorspace="RGB")


def _drawn(shape: tuple[int, ...], d: torch.device, g: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=g).to(d)
