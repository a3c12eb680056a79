"""One export for all networks of one architecture: the programs that this process has captured, by fingerprint.

A population, a Recorder and a reader of runs capture the same architecture again and again with other weights::

    graph = capture(LeNet(), image)  # exported: 30 to 500 ms
    other = capture(LeNet(), image)  # the same program, with the second network's weights: under 10 ms

A program holds no weights (they are the graph's), so that what is kept here is small. What could differ between two
networks of one fingerprint is seen to when the program is taken out: tensors are looked up in the module at hand, and
where the number of links follows from values, as from those of an attention mask in a buffer, they are counted anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from threading import Lock

from torch import Tensor, fx, nn

from axonometry.program.ir import Program
from axonometry.program.primitives import FUSED, equal_shares
from axonometry.program.untouched import unwrapped
from axonometry.program.weights.module_weights import ModuleWeights, memory_of, tensors_of

MOST = 64
"""Architectures that are kept; the one that has not been asked for the longest goes first."""


@dataclass(frozen=True)
class SharedProgram:
    """A program and where its tensors are found in a module.

    Attributes:
        program: The captured network without its weights.
        paths: By name in the graph's state, the tensor's path in the module.
        constants: By name in the graph's state, tensors that the forward pass makes or finds outside the module.
        counted_by_values: Whether values of the state decide how many links there are.
    """

    program: Program
    paths: Mapping[str, str]
    constants: Mapping[str, Tensor]
    counted_by_values: bool

    def weights(self, module: nn.Module) -> ModuleWeights:
        """Those of a module of the same architecture."""
        return ModuleWeights.of(module, self.paths, self.constants)


def located(program: Program, state: Mapping[str, Tensor], module: nn.Module) -> SharedProgram:
    """Where a captured module's tensors are found in it."""
    tensors = tensors_of(unwrapped(module))
    places = {memory_of(tensor): path for path, tensor in tensors.items()}

    def place(name: str, tensor: Tensor) -> str | None:
        same = name in tensors and memory_of(tensors[name]) == memory_of(tensor)
        return name if same else places.get(memory_of(tensor))

    own = {name: place(name, tensor) for name, tensor in state.items()}
    paths = {name: path for name, path in own.items() if path is not None}
    constants = {name: tensor for name, tensor in state.items() if name not in paths}
    return SharedProgram(program, paths, constants, _is_counted_by_values(program))


def can_be_shared(found: SharedProgram) -> bool:
    """Whether another network of the same architecture has the same program.

    A branch that was chosen by values is a choice of this network, and a floating-point mask that of this example.
    """
    program = found.program
    decided = program.module.meta.get("decided", False)
    if decided or any(isinstance(x, Tensor) and x.is_floating_point() for x in program.controls.values()):
        return False
    return all(name in program.constants for name in found.constants)


def _is_counted_by_values(program: Program) -> bool:
    """Whether masks and indices are made from the network's tensors, or attention from what is known before data."""
    static = {*program.names, *program.computed}
    return any(
        (node in static and node.users and not _is_floating(node)) or node.target in {equal_shares, *FUSED}
        for node in program.graph.nodes
        if node.op in ("placeholder", "call_function")
    )


def _is_floating(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return not isinstance(value, Tensor) or value.is_floating_point()


_KEPT: OrderedDict[Hashable, SharedProgram] = OrderedDict()
_LOCK = Lock()


def find(key: Hashable) -> SharedProgram | None:
    """What has been kept of an architecture, or None."""
    with _LOCK:
        if key in _KEPT:
            _KEPT.move_to_end(key)
        return _KEPT.get(key)


def keep(key: Hashable, shared: SharedProgram) -> None:
    """Keep what was made of an architecture for the next network of the same."""
    with _LOCK:
        _KEPT[key] = shared
        _KEPT.move_to_end(key)
        while len(_KEPT) > MOST:
            _KEPT.popitem(last=False)


def forget() -> None:
    """Forget all architectures; the next capture of each exports again."""
    with _LOCK:
        _KEPT.clear()
