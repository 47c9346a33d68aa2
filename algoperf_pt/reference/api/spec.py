"""The vocabulary of AlgoPerf's `spec` module: modes, types, errors, names for annotations.

Values of the enumerations and signatures are the benchmark's (its documentation, section on the
submission interface).
"""

import enum
from collections.abc import Callable
from typing import Any


class LossType(enum.Enum):
    """What a workload's loss is; a submission may branch on it."""

    SOFTMAX_CROSS_ENTROPY = 0
    SIGMOID_CROSS_ENTROPY = 1
    MEAN_SQUARED_ERROR = 2
    CTC_LOSS = 3
    MEAN_ABSOLUTE_ERROR = 4


class ForwardPassMode(enum.Enum):
    """How `Workload.model_fn` runs the model."""

    TRAIN = 0
    EVAL = 1


class ParameterType(enum.Enum):
    """What a parameter is for; the members of `algoperf_pt.roles.ParamType`."""

    WEIGHT = 0
    BIAS = 1
    CONV_WEIGHT = 2
    BATCH_NORM_SCALE = 3
    BATCH_NORM_BIAS = 4
    LAYER_NORM_SCALE = 5
    LAYER_NORM_BIAS = 6
    EMBEDDING = 7
    ATTENTION_Q = 8
    ATTENTION_K = 9
    ATTENTION_V = 10
    ATTENTION_OUT = 11
    ATTENTION_QKV = 12
    ATTENTION_KV = 13
    ATTENTION_BIAS = 14


class ShapeTuple:
    """A shape that is one leaf of a tree."""

    def __init__(self, shape_tuple: tuple[int, ...]) -> None:
        self.shape_tuple = shape_tuple

    def __repr__(self) -> str:
        return f"ShapeTuple({self.shape_tuple})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShapeTuple) and self.shape_tuple == other.shape_tuple

    def __hash__(self) -> int:
        return hash(self.shape_tuple)


class TrainingCompleteError(Exception):
    """Raised in `update_params`: the run ends after a last evaluation."""


class Workload:
    """What is annotated with `spec.Workload`; `algoperf_pt.reference.workload` has the real one."""


# Names for annotations: nothing checks them.
Tensor = Any
Shape = Any
ParameterKey = str
ParameterShapeTree = dict[str, Any]
ParameterContainer = Any  # a torch.nn.Module
ParameterTypeTree = dict[str, Any]
RandomState = Any  # a key of random_utils
OptimizerState = Any
Hyperparameters = Any
ModelAuxiliaryState = Any
ModelInitState = tuple[Any, Any]
Timing = int
Steps = int
UpdateReturn = tuple[Any, Any, Any]
InitOptimizerFn = Callable[..., OptimizerState]
UpdateParamsFn = Callable[..., UpdateReturn]
PrepareForEvalFn = Callable[..., UpdateReturn]
DataSelectionFn = Callable[..., Any]
