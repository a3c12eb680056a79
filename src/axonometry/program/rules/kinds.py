"""Rules of operations that none names: what torch itself says of an operation is enough to read it."""

from __future__ import annotations

import torch
from torch import Tensor

from axonometry.program.op_call import OpCall
from axonometry.program.registry import OpRule
from axonometry.program.rules.activations import pointwise
from axonometry.program.rules.order import choice_rule


def rule_by_kind(call: OpCall) -> OpRule | None:
    """Whole numbers and truth values choose, whatever computes them; elementwise functions of one signal carry it.

    Of several signals of other shapes than the result's, an elementwise function has no reading.
    """
    value = call.node.meta["val"]
    parts = value if isinstance(value, (tuple, list)) else [value]
    numbers = [isinstance(part, Tensor) and (part.is_floating_point() or part.is_complex()) for part in parts]
    if not any(numbers):
        return choice_rule
    elementwise = torch.Tag.pointwise in getattr(call.operation, "tags", ())
    alone = len(call.signals) == 1  # a constant may give the result its shape
    return pointwise if elementwise and (alone or all(call.shape(x) == call.shape() for x in call.signals)) else None
