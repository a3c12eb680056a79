"""The operation at which the samples of a batch meet: the first whose result for a sample depends on the others."""

from __future__ import annotations

import linecache
import sys
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from axonometry.program.checks.trial import Branches, Inputs, agrees_alone, trial
from axonometry.program.draws import MEAN_DRAWS, AtTheirMeans, Draws, call_arguments, same_draws
from axonometry.program.fx_utils import is_users

NORM = "a batch norm without running statistics"


class _Comparison(TorchDispatchMode):
    """Watches two passes, and notes where the second departs from the first; ``sample`` is None where both have one.

    With ``coarse`` doubles are compared as single precision is: a trial in them is for less rounding, not for finer
    differences.
    """

    def __init__(self, module: nn.Module, sample: int | None, *, coarse: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.module, self.sample, self.coarse = module, sample, coarse
        self.calls, self.place, self.found = list[tuple[Any, list[Any]]](), -1, ""

    def __torch_dispatch__(self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        leaves = [self._as_compared(leaf) for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        # The first pass notes its calls, the second is held against them one by one. An empty tensor has no values yet.
        if self.place < 0:
            self.calls.append((operation, leaves))
        elif not self.found and self.place < len(self.calls):
            before, alone = self.calls[self.place]
            self.place += 1
            departs = "empty" not in operation.name() and any(map(self._departs, alone, leaves))
            if before is not operation or departs:
                norm = "batch_norm" in operation.name()
                given = call_arguments(operation, args, kwargs or {}) if norm else {}
                name = _norm(given) if norm else str(operation.overloadpacket.__name__)
                self.found = f"{name} at {_place(sys._getframe(1), self.module)}"
        return result

    def _as_compared(self, leaf: Tensor) -> Tensor:
        return leaf.detach().float() if self.coarse and leaf.dtype == torch.float64 else leaf.detach().clone()

    def _departs(self, before: Tensor, after: Tensor) -> bool:
        if self.sample is None:
            return before.shape != after.shape or agrees_alone(before, after, 0) is False
        return agrees_alone(before, after, self.sample) is False


def meeting_place(
    module: nn.Module,
    passes: tuple[Inputs, Inputs],
    sample: int | None = None,
    *,
    draws: tuple[Draws, Draws] = (MEAN_DRAWS, MEAN_DRAWS),
    coarse: bool = False,
) -> str:
    """The operation at which the second of two passes departs from the first, with its module and the line of code.

    Args:
        module: The module, prepared as for the export.
        passes: A sample, and a batch of two samples; or twice the same.
        sample: Which of the two samples the first is: 0 or 1; None where both passes are of one.
        draws: What each of the two draws.
        coarse: Whether doubles are compared as single precision is.

    Returns:
        It in words; empty where all operations agree.
    """
    watch, taken = _Comparison(module, sample, coarse=coarse), Branches()
    for inputs, drawn in zip(passes, draws, strict=True):
        with same_draws(drawn.seed):
            trial(module, inputs, taken, (AtTheirMeans(drawn.uniform), watch))
        taken.place = watch.place = 0
    return watch.found


def _norm(given: dict[str, Any]) -> str:
    return NORM if given.get("running_mean") is None else "a batch norm on the batch's own statistics"


def _place(frame: FrameType | None, module: nn.Module) -> str:
    """The innermost module of a stack of calls, and the innermost line of code that is neither torch's nor ours."""
    paths = {id(part): path for path, part in module.named_modules()}
    inside, line = "", ""
    while frame is not None and not line:
        inside = inside or paths.get(id(frame.f_locals.get("self")), "")
        file = frame.f_code.co_filename
        if is_users(file):
            code = linecache.getline(file, frame.f_lineno).strip()
            line = f" ({file.rsplit('/', 1)[-1]}, line {frame.f_lineno}: {code})"
        frame = frame.f_back
    return (f"module {inside!r}" if inside else "the module's own forward") + line
