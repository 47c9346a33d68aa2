"""AlgoPerf's `param_utils`: shapes of a model's parameters."""

from torch import nn

from algoperf_pt.reference.api.spec import ShapeTuple


def pytorch_param_shapes(model: nn.Module) -> dict[str, ShapeTuple]:
    """Parameter name -> shape."""
    return {name: ShapeTuple(tuple(p.shape)) for name, p in model.named_parameters()}
