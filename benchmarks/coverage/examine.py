"""One network examined: captured or not, and by checks that know nothing of how it was read."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import AxonometryError, CaptureError
from axonometry.program.op_call import module_path
from axonometry.program.readings.live import live_batches
from axonometry.program.readings.observation_points import pre_activation_nodes
from benchmarks.coverage.network import Example, Network

TOLERANCE = 2e-3
"""Of a value, relative to the largest of its tensor: samples that run together are rounded otherwise."""
ROUNDINGS = 2
"""Of the coarsest type among a network's results, where these are more: of bfloat16, 1.6 %."""


@dataclass
class Outcome:
    """What was found.

    Attributes:
        library: Where the network is from.
        name: Its name there.
        state: ``captured``; ``refused`` by an error of this library; ``failed`` by any other; ``not built``, where the
            network does not run by itself.
        reason: The error, in one line.
        parameters: How many it has.
        unclaimed: Parameters that nothing claims and that the forward pass does not use.
        lost: Parameters that nothing claims, though the output has a gradient by them.
        adjoint: ``|<A x, y> - <x, A' y>|``, relative to the sum of the absolute terms.
        compared: Pre-activations and outputs that were compared with the eager module's.
        wrong: Those of them that differ.
        seconds: Of the processor.
    """

    library: str
    name: str
    state: str = "captured"
    reason: str = ""
    parameters: int = 0
    unclaimed: int = 0
    lost: list[str] = field(default_factory=list)
    adjoint: float = 0.0
    compared: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def note(self) -> str:
        """The reason, or what is wrong."""
        return self.reason or ", ".join([*self.lost, *self.wrong])

    @property
    def right(self) -> bool:
        """Captured, and every check holds."""
        return self.state == "captured" and self.adjoint < 1e-4 and not self.wrong and not self.lost


def examined(network: Network) -> Outcome:
    """The outcome of one network."""
    outcome, start = Outcome(network.library, network.name), time.process_time()
    torch.manual_seed(0)
    try:
        example = network.build()
        module = _varied(example.module.eval())
        eager = _eager(module, example)
    except Exception as error:  # noqa: BLE001 - whatever a library raises for a network that it cannot build
        outcome.state, outcome.reason = "not built", one_line(error)
        return outcome
    outcome.parameters = sum(p.numel() for p in module.parameters())
    try:
        graph, example = captured(module, example)
        if "batch_axis" in example.options:
            outcome.reason = "compares the samples of a batch: read as one sample, values not compared"
        if "randomness" in example.options:
            outcome.reason = "draws random numbers by design: captured with randomness='fix', values not compared"
        _check(outcome, graph, module, example, eager)
    except AxonometryError as error:
        outcome.state, outcome.reason = "refused", one_line(error)
    except Exception as error:  # noqa: BLE001 - a fault of ours is an outcome
        outcome.state, outcome.reason = "failed", one_line(error)
    outcome.seconds = round(time.process_time() - start, 2)
    return outcome


def captured(module: nn.Module, example: Example) -> tuple[Any, Example]:
    """The graph; of a network that compares the samples of a batch, the graph of the batch as one sample.

    Of one that draws random numbers in evaluation, the graph with its draws fixed.
    """
    try:
        return ax.capture(module, *example.args, **example.kwargs, **example.options), example
    except CaptureError as error:
        if "computes the same each time" in str(error) and "randomness" not in example.options:
            return captured(module, replace(example, options={**example.options, "randomness": "fix"}))
        if "samples of a batch meet" not in str(error):
            raise
        tensors = sum(1 for _ in tensors_of([list(example.args), dict(example.kwargs)]))
        example = replace(example, options={**example.options, "batch_axis": (None,) * tensors})
        return ax.capture(module, *example.args, **example.kwargs, **example.options), example


def one_line(error: BaseException) -> str:
    """An error's name and the start of its message."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:400]


@torch.no_grad()
def _varied(module: nn.Module) -> nn.Module:
    """No parameter is left at one value, as zero gains of residual branches are, behind which no error would show."""
    for parameter in module.parameters():
        if parameter.is_floating_point() and parameter.numel() and bool((parameter == parameter.flatten()[0]).all()):
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return module


@dataclass
class _Eager:
    outputs: list[Tensor]
    results: dict[str, list[Tensor]]
    used: set[str]
    torchs: set[str]
    random: bool

    @property
    def tolerance(self) -> float:
        """Of values, relative to the largest: the coarsest type in which the module itself computes."""
        found = [*self.outputs, *(result for results in self.results.values() for result in results)]
        return max([TOLERANCE, *(ROUNDINGS * torch.finfo(t.dtype).eps for t in found if t.is_floating_point())])


def _eager(module: nn.Module, example: Example) -> _Eager:
    """The module run as it is: its outputs, every submodule's results, the parameters that the output depends on."""
    results: dict[str, list[Tensor]] = defaultdict(list)

    def hook(name: str) -> Callable[..., None]:
        def keep(_: nn.Module, __: Any, output: Any) -> None:
            results[name] += [output.detach().clone()] if isinstance(output, Tensor) else []

        return keep

    torchs = {name for name, child in module.named_modules() if type(child).__module__.startswith("torch.nn.")}
    handles = [child.register_forward_hook(hook(name)) for name, child in module.named_modules()]
    torch.manual_seed(0)
    try:
        outputs = list(tensors_of(module(*example.args, **example.kwargs)))
    finally:
        for handle in handles:
            handle.remove()
    total = sum((o * torch.rand_like(o)).sum() for o in outputs if o.requires_grad and o.is_floating_point())
    named = {name: p for name, p in module.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad(total, list(named.values()), allow_unused=True) if isinstance(total, Tensor) else ()
    used = {name for name, g in zip(named, gradients, strict=False) if g is not None and bool(g.abs().max() > 1e-12)}
    with torch.no_grad():
        torch.manual_seed(1)
        others = list(tensors_of(module(*example.args, **example.kwargs)))
    random = not all(_same(a, b) for a, b in zip(outputs, others, strict=False) if bool(a.isfinite().all()))
    return _Eager([o.detach() for o in outputs], dict(results), used, torchs, random)


def tensors_of(result: Any) -> Iterator[Tensor]:
    """All tensors of a result, in order."""
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, Mapping):
        for value in result.values():
            yield from tensors_of(value)
    elif isinstance(result, (list, tuple)):
        for value in result:
            yield from tensors_of(value)
    elif is_dataclass(result) and not isinstance(result, type):
        yield from tensors_of([getattr(result, name) for name in asdict(result)])


def _check(outcome: Outcome, graph: Any, module: nn.Module, example: Example, eager: _Eager) -> None:
    unclaimed = [claim for claim in graph.coverage if claim.role == "unclaimed"]
    outcome.lost = [claim.parameter for claim in unclaimed if claim.parameter in eager.used]
    outcome.unclaimed = len(unclaimed) - len(outcome.lost)
    generator = torch.Generator().manual_seed(0)
    x, y = (graph.zeros().map(lambda t: torch.randn(t.shape, generator=generator).to(t)) for _ in range(2))
    forward, backward = graph @ x, graph.T @ y
    terms = max(forward.abs().dot(y.abs()), backward.abs().dot(x.abs()), 1e-9)
    outcome.adjoint = float(abs(forward.dot(y) - backward.dot(x)) / terms)
    if eager.random or "randomness" in example.options:
        outcome.reason = outcome.reason or "draws random numbers: values of two passes are not compared"
    elif "batch_axis" not in example.options:
        _compare(outcome, graph, example, eager)


def _compare(outcome: Outcome, graph: Any, example: Example, eager: _Eager) -> None:
    """Pre-activations that are the result of a submodule, and the outputs."""
    program = graph.program
    last = next(node for node in reversed(program.graph.nodes) if node.op == "output")
    outputs = [n for n in last.all_input_nodes if n in program.varying and n.meta.get("val") is not None]
    samples = dict(example.kwargs) if example.kwargs and not example.args else example.args
    samples = samples[0] if isinstance(samples, tuple) and len(samples) == 1 else samples
    batch = next(live_batches(graph, samples, batch_size=2, nodes=tuple(outputs)))
    places = {name: module_path(node) for name, node in pre_activation_nodes(program).items()}
    for name, found in batch.pre_activations.items():
        wanted = [r for r in eager.results.get(places[name], ()) if r.numel() == found.numel()]
        if name in program.inputs:  # its place is the whole module, whose result is another
            continue
        if wanted and places[name] in eager.torchs and not _inside(places[name], eager):
            outcome.compared += 1
            if not any(_same(found, r, eager.tolerance) for r in wanted):
                outcome.wrong.append(f"{name} (pre-activation)")
    for node in outputs:
        value = batch.values[node]
        value = value[0] if isinstance(value, (tuple, list)) else value
        wanted = [o for o in eager.outputs if o.numel() == value.numel()]
        if wanted and value.is_floating_point():
            outcome.compared += 1
            if not any(_same(value, o, eager.tolerance) for o in wanted):
                outcome.wrong.append(f"{node.name} (output)")


def _inside(path: str, eager: _Eager) -> bool:
    """Whether a submodule has submodules that were run: its pre-activation is then none of its results."""
    return any(other.startswith(path + ".") for other in eager.results)


def _same(found: Tensor, wanted: Tensor, tolerance: float = TOLERANCE) -> bool:
    a, b = found.flatten().double(), wanted.flatten().double()
    if not a.numel():
        return True
    if not bool(a.isfinite().all()):
        return bool(torch.equal(a.isfinite(), b.isfinite()))
    limit = tolerance * max(float(b.abs().max()), 1e-6)
    # a module may hand on its pre-activations laid out anew
    return bool((a - b).abs().max() <= limit) or bool((a.sort()[0] - b.sort()[0]).abs().max() <= limit)
