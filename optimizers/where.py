"""Which parameters are meant?  Selectors for `where` in conf/submission: called with a parameter's
name, the parameter and its declared role.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from algoperf_pt.instantiate import instantiate
from algoperf_pt.roles import ParamType


class HasRole:
    """Parameters of certain roles.

    Args:
        roles: values of `ParamType`, such as "bias".

    Raises:
        ValueError: a role that there is not.
    """

    def __init__(self, roles: Sequence[str]) -> None:
        known = [role.value for role in ParamType]
        wrong = [role for role in roles if role not in known]
        if wrong:
            raise ValueError(f"no role is named {wrong[0]!r}, expected some of {', '.join(known)}")
        self.roles = {ParamType(role) for role in roles}

    def __call__(self, name: str, parameter: nn.Parameter, role: ParamType) -> bool:
        return role in self.roles


class DimensionsBelow:
    """Parameters of fewer than `count` dimensions: 2 means vectors and single numbers."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self, name: str, parameter: nn.Parameter, role: ParamType) -> bool:
        return parameter.dim() < self.count


class SideAtLeast:
    """Parameters of which a side has at least `size` elements: tables of millions of rows."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, name: str, parameter: nn.Parameter, role: ParamType) -> bool:
        return max(parameter.shape, default=1) >= self.size


class AnyOf:
    """Parameters that at least one of several selectors means.

    Args:
        selectors: {"_target_": ...} of each.
    """

    def __init__(self, selectors: Sequence[Mapping[str, Any]]) -> None:
        self.selectors = [instantiate(selector) for selector in selectors]

    def __call__(self, name: str, parameter: nn.Parameter, role: ParamType) -> bool:
        return any(selector(name, parameter, role) for selector in self.selectors)
