"""What is each parameter for?  Declared by the module that owns the tensor, never guessed from
names.

A module of our own says `param_roles = {"in_proj_weight": ParamType.ATTENTION_QKV}`; the standard
torch.nn classes are listed here.  A tensor that nobody declared is an error
(docs/adr/0005-roles.md).
"""

from enum import Enum

from torch import nn

from algoperf_pt.errors import SubmissionError


class ParamType(str, Enum):
    """The benchmark's parameter types (AlgoPerf `spec.ParameterType`)."""

    WEIGHT = "weight"
    BIAS = "bias"
    CONV_WEIGHT = "conv_weight"
    BATCH_NORM_SCALE = "batch_norm_scale"
    BATCH_NORM_BIAS = "batch_norm_bias"
    LAYER_NORM_SCALE = "layer_norm_scale"
    LAYER_NORM_BIAS = "layer_norm_bias"
    EMBEDDING = "embedding"
    ATTENTION_Q = "attention_q"
    ATTENTION_K = "attention_k"
    ATTENTION_V = "attention_v"
    ATTENTION_OUT = "attention_out"
    ATTENTION_QKV = "attention_qkv"
    ATTENTION_KV = "attention_kv"
    ATTENTION_BIAS = "attention_bias"


_BATCH_NORM = {"weight": ParamType.BATCH_NORM_SCALE, "bias": ParamType.BATCH_NORM_BIAS}
_LAYER_NORM = {"weight": ParamType.LAYER_NORM_SCALE, "bias": ParamType.LAYER_NORM_BIAS}

_STANDARD: list[tuple[type[nn.Module], dict[str, ParamType]]] = [
    (nn.Linear, {"weight": ParamType.WEIGHT, "bias": ParamType.BIAS}),
    (nn.modules.conv._ConvNd, {"weight": ParamType.CONV_WEIGHT, "bias": ParamType.BIAS}),
    (nn.modules.batchnorm._NormBase, _BATCH_NORM),
    (nn.LayerNorm, _LAYER_NORM),
    (nn.RMSNorm, _LAYER_NORM),
    (nn.GroupNorm, _LAYER_NORM),
    (nn.Embedding, {"weight": ParamType.EMBEDDING}),
    (nn.EmbeddingBag, {"weight": ParamType.EMBEDDING}),
]


def declared_roles(module: nn.Module) -> dict[str, ParamType]:
    """Local tensor name -> type, as declared by the module itself or by its torch.nn class."""
    own: dict[str, ParamType] | None = getattr(module, "param_roles", None)
    if own is not None:
        return own
    return next((roles for kind, roles in _STANDARD if isinstance(module, kind)), {})


def param_types(model: nn.Module) -> dict[str, ParamType]:
    """Full parameter name -> type for every parameter of `model`, in registration order.

    Raises:
        SubmissionError: a parameter whose owner declares no role for it.
    """
    owners = dict(model.named_modules())
    types: dict[str, ParamType] = {}
    for name, _ in model.named_parameters():
        path, _, local = name.rpartition(".")
        owner = owners[path]
        roles = declared_roles(owner)
        if local not in roles:
            raise SubmissionError(
                f"parameter {name!r} of {type(owner).__name__} has no declared role",
                expected=f"param_roles[{local!r}] in the class {type(owner).__name__}",
                fix="add `param_roles = {...: ParamType....}` to the module that owns the tensor",
            )
        types[name] = roles[local]
    return types
