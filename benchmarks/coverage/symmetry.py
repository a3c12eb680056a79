"""The command ``python -m benchmarks symmetry``: exchanged neurons leave the outputs of every architecture as they are.

Each network of the coverage benchmark is run in float64 with weights at which no two neurons are alike; all that
``ax.permutations`` says can be exchanged is exchanged at random, and the module itself is run again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import AxonometryError
from axonometry.program.checks.double import doubled_inputs
from benchmarks.coverage import command, page, running
from benchmarks.coverage.examine import captured, one_line, tensors_of
from benchmarks.coverage.network import Example, Network

FILE = Path("build/symmetry.jsonl")
PAGE = Path(__file__).parent.parent.parent / "docs" / "symmetries.md"
TOLERANCE = 1e-10
"""Of an output in float64, relative to the largest of its tensor."""
SINGLE = 1e-4
"""Likewise of a network that computes in float32 or less somewhere inside, whatever it is given."""
COARSE = (torch.float32, torch.bfloat16, torch.float16)
HEAD = """# Symmetries

Whether exchanged neurons leave the outputs of a network as they are. Written by `python -m benchmarks symmetry
--write`: {versions}.

The networks are those of [coverage](coverage.md) that can be captured, in float64, with noise on all weights, gains,
biases and statistics, so that no two neurons are alike. `ax.permutations(graph)` says what can be exchanged; all of it
is exchanged at random, three times, by `ax.permute`; the module itself (not our reading of it) is run with the new
weights. It **passes** if every output stays within 1e-10 of the largest value of its tensor ({single} where a network
computes in float32 somewhere inside, whatever it is given). Networks without a class have nothing that an exchange is
known to leave alone; networks that draw random numbers in evaluation run with the same seed. A run cut short counts
what it has come to.

| library | captured | with a class | pass | within 1e-10 | neurons and blocks that move | median seconds for the map |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
{rows}
"""


@dataclass
class Outcome:
    """What was found.

    Attributes:
        library: Where the network is from.
        name: Its name there.
        state: ``permuted``; ``no class``; ``refused``, ``failed`` or ``not built`` as in the coverage benchmark.
        reason: The error, in one line.
        classes: How many classes there are.
        neurons: Neurons in them.
        blocks: Blocks in them: heads, groups.
        error: The most that an output changed, relative to the largest of its tensor.
        moved: The most that a weight changed.
        double: Whether the network computes in float64.
        mapped: Seconds that the map took, after capture.
        seconds: Of the processor, for all.
    """

    library: str
    name: str
    state: str = "permuted"
    reason: str = ""
    classes: int = 0
    neurons: int = 0
    blocks: int = 0
    error: float = 0.0
    moved: float = 0.0
    double: bool = True
    mapped: float = 0.0
    seconds: float = 0.0

    @property
    def note(self) -> str:
        """The reason, or the error."""
        return self.reason or f"{self.classes} classes, {self.error:.1e}"

    @property
    def right(self) -> bool:
        """Whether weights moved and outputs did not."""
        limit = TOLERANCE if self.double else SINGLE
        return self.state == "no class" or (self.state == "permuted" and self.error < limit and self.moved > 0)


def examined(network: Network) -> Outcome:
    """The outcome of one network."""
    outcome, start = Outcome(network.library, network.name), time.process_time()
    torch.manual_seed(0)
    try:
        module, example, outputs, outcome.double = _in_float64(network.build())
    except Exception as error:  # noqa: BLE001 - whatever a library raises for a network that it cannot build
        outcome.state, outcome.reason = "not built", one_line(error)
        return outcome
    try:
        _permute(outcome, module, example, outputs)
    except AxonometryError as error:
        outcome.state, outcome.reason = "refused", one_line(error)
    except Exception as error:  # noqa: BLE001 - a fault of ours is an outcome
        outcome.state, outcome.reason = "failed", one_line(error)
    outcome.seconds = round(time.process_time() - start, 2)
    return outcome


def _in_float64(example: Example) -> tuple[nn.Module, Example, list[Tensor], bool]:
    """The network with noise on its weights, its example and its outputs, in float64 if it runs in that."""
    module = _noisy(example.module.eval())
    single = _outputs(module, example)
    try:
        args, kwargs = doubled_inputs((tuple(example.args), dict(example.kwargs)))
        double = replace(example, args=args, kwargs=kwargs)
        found = _outputs(module.double(), double)
        if all(one.dtype != torch.float32 for one in found):
            return module, double, found, True
    except Exception:  # noqa: BLE001 - a network that makes float32 tensors of its own
        pass
    return module.float(), example, single, False


@torch.no_grad()
def _noisy(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        if parameter.is_floating_point() and parameter.numel():
            parameter.add_(torch.randn_like(parameter) * (0.02 + 0.1 * parameter.abs().mean()))
    for name, buffer in module.named_buffers():
        if buffer.is_floating_point() and name.rpartition(".")[2] in ("running_mean", "running_var"):
            buffer.add_(torch.rand_like(buffer) * 0.5)
    return module


@torch.no_grad()
def _outputs(module: nn.Module, example: Example) -> list[Tensor]:
    torch.manual_seed(0)
    return [one.clone() for one in tensors_of(module(*example.args, **example.kwargs))]


@torch.no_grad()
def _permute(outcome: Outcome, module: nn.Module, example: Example, outputs: list[Tensor]) -> None:
    graph, _ = captured(module, example)
    start = time.perf_counter()
    found = ax.permutations(graph)
    outcome.mapped = round(time.perf_counter() - start, 3)
    values = [node.meta.get("val") for node in graph.program.graph.nodes]
    if any(isinstance(value, Tensor) and value.dtype in COARSE for value in values):
        outcome.double = False
    outcome.classes = len(found.classes)
    outcome.neurons = sum(one.size for one in found.classes.values() if not one.blocks)
    outcome.blocks = sum(one.size for one in found.classes.values() if one.blocks)
    if not found.classes:
        outcome.state = "no class"
        return
    own = dict([*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)])
    before = {name: tensor.detach().clone() for name, tensor in own.items()}
    drawn = [one for one in map(found.random, range(40)) if one.order]  # of two neurons, half of the draws are none
    for exchange in drawn[:3]:
        for name, tensor in ax.permute(before, graph, exchange).items():
            own[name].copy_(tensor)
            if tensor.is_floating_point() and tensor.numel():
                outcome.moved = max(outcome.moved, float((tensor - before[name]).abs().max()))
        for wanted, value in zip(outputs, _outputs(module, example), strict=True):
            outcome.error = max(outcome.error, _change(wanted, value))


def _change(wanted: Tensor, value: Tensor) -> float:
    if not wanted.numel():
        return 0.0
    a, b = (one.double() if not one.is_complex() else torch.view_as_real(one).double() for one in (wanted, value))
    finite = a.isfinite()
    if not torch.equal(finite, b.isfinite()):
        return float("inf")
    change = (a[finite] - b[finite]).abs().max() if bool(finite.any()) else torch.zeros(())
    largest = a[finite].abs().max() if bool(finite.any()) else torch.ones(())
    return float(change / largest.clamp_min(1e-12))


def main(arguments: list[str]) -> int:
    """Examine what has not been examined yet, and write the page if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks symmetry", description=__doc__)
    parser.add_argument(
        "--library", action="append", choices=command.LIBRARIES, help="one of them only; may be repeated"
    )
    parser.add_argument("--name", default="", help="networks whose name contains this")
    parser.add_argument("--file", type=Path, default=FILE, help="outcomes, one a line; what is there is not repeated")
    parser.add_argument("--minutes", type=float, default=600, help="stop after these; run again to go on")
    parser.add_argument("--again", action="store_true", help="examine again what did not pass")
    parser.add_argument("--write", action="store_true", help="write docs/symmetries.md from all outcomes")
    given = parser.parse_args(arguments)
    if command.PACKAGES.is_dir():
        sys.path.append(str(command.PACKAGES))
    if given.again:
        running.keep_right(given.file, Outcome)
    torch.set_num_threads(1)
    until = time.monotonic() + 60 * given.minutes
    how: Any = {"examine": examined, "kind": Outcome}
    for library in given.library or command.LIBRARIES:
        found = [network for network in command.LIBRARIES[library]() if given.name in network.name]
        if not running.examine_all(found, given.file, until=until, **how):
            print("time is up: run the same command again to go on", file=sys.stderr)
            break
    else:
        until = 0
    if given.write:
        PAGE.write_text(_page(running.outcomes(given.file, Outcome).values()))
    return 3 if until else 0


def _page(outcomes: Iterable[Outcome]) -> str:
    found = sorted(outcomes, key=lambda o: (page.ORDER.index(o.library), o.name))
    libraries = [name for name in page.ORDER if any(outcome.library == name for outcome in found)]
    rows = [_row(name, [o for o in found if o.library == name]) for name in libraries]
    rows.append(_row("**all architectures**", [o for o in found if o.library != page.ORDER[-1]]))
    parts = [HEAD.format(versions=page.versions(), single=SINGLE, rows="\n".join(rows))]
    wrong = [o for o in found if not o.right and o.state == "permuted"]
    if wrong:
        parts += [
            "## Outputs that change",
            "",
            "| library | network | classes | change |",
            "| --- | --- | ---: | ---: |",
        ]
        parts += [f"| {o.library} | {o.name} | {o.classes} | {o.error:.1e} |" for o in wrong] + [""]
    none = ", ".join(f"{o.name} ({o.library})" for o in found if o.state == "no class")
    parts.append(f"## No class\n\n{none or 'None'}.\n")
    single = ", ".join(f"{o.name} ({o.library})" for o in found if o.state == "permuted" and not o.double)
    parts.append(f"## Compared in float32\n\n{single or 'None'}.\n")
    return "\n".join(parts)


def _row(name: str, outcomes: list[Outcome]) -> str:
    there = [o for o in outcomes if o.state in ("permuted", "no class")]
    permuted = [o for o in there if o.state == "permuted"]
    times = sorted(o.mapped for o in there) or [0.0]
    passing = [o for o in permuted if o.right]
    moved = sum(o.neurons + o.blocks for o in permuted)
    numbers = [len(there), len(permuted), len(passing), sum(o.error < TOLERANCE for o in passing), moved]
    return f"| {' | '.join([name, *(f'{n:,}' for n in numbers), f'{times[len(times) // 2]:.2f}'])} |"
