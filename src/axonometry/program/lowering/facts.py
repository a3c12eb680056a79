"""What the lowering knows of an exported program: one record a node, and what follows from several of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from torch import fx
from torch.export import ExportedProgram

from axonometry.program.op_call import Lowering, NodeFacts, Signal, module_path

Pooling = Literal["mean", "nodes"]


@dataclass(frozen=True)
class ProgramFacts:
    """The records of all nodes, and the order in which groups and synapses were found.

    Attributes:
        exported: The exported program.
        pooling: Whether pooled values are neurons of their own.
        batch_axes: The axis that counts samples, of each of the module's tensors or of all.
        of: The record of each node, in the program's order.
        groups: The nodes that are groups of neurons, inputs first, in the order in which their sums were cut.
        synapses: The calls that are synapses, in the program's order.
        outputs: The values that the module returns.
    """

    exported: ExportedProgram
    pooling: Pooling
    batch_axes: tuple[int | None, ...]
    of: dict[fx.Node, NodeFacts] = field(init=False)
    groups: list[fx.Node] = field(default_factory=list)
    synapses: list[fx.Node] = field(default_factory=list)
    outputs: list[fx.Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", {node: NodeFacts() for node in self.exported.graph.nodes})

    def __getitem__(self, node: fx.Node) -> NodeFacts:
        return self.of[node]

    def signal(self, node: fx.Node) -> Signal:
        """What is known of a value that depends on the module's input."""
        signal = self.of[node].signal
        assert signal is not None
        return signal

    def lowering(self, node: fx.Node) -> Lowering:
        """How a call is read."""
        lowering = self.of[node].lowering
        assert lowering is not None
        return lowering

    def group(self, node: fx.Node) -> str:
        """The name of the group that a node is."""
        group = self.of[node].group
        assert group is not None
        return group

    def is_read(self, node: fx.Node) -> bool:
        """Whether a node is a call that a rule reads."""
        return self.of[node].lowering is not None

    def of_role(self, role: str) -> list[fx.Node]:
        """The nodes of a role, in the program's order."""
        return [node for node, known in self.of.items() if known.role == role]

    def reads(self, node: fx.Node) -> frozenset[str]:
        """Names of the groups that whoever reads a value reads."""
        known = self.of[node]
        return known.sources if known.group is None else frozenset([known.group])

    def operands(self, node: fx.Node) -> list[fx.Node]:
        """The signals that the lowering of a call really uses."""
        lowering = self.lowering(node)
        return [lowering.of] if lowering.kind == "carrier" and lowering.of else self.linked(node)

    def linked(self, node: fx.Node) -> list[fx.Node]:
        """The signals of a call that do not only modulate."""
        reads = self.lowering(node).reads
        signals = (operand for operand in node.all_input_nodes if self.of[operand].signal is not None)
        return [operand for operand in signals if reads is None or operand in reads]

    def weights(self, node: fx.Node) -> list[fx.Node]:
        """What a synapse's call takes for its weight, which may be computed from several parameters."""
        weight = node.args[self.lowering(node).weight]
        candidates = weight if isinstance(weight, (list, tuple)) else [weight]
        return [n for n in candidates if isinstance(n, fx.Node) and self.of[n].signal is None]

    def parameters(self, node: fx.Node) -> list[str]:
        """State-dict names behind a synapse's weight: parameters, or buffers where there are none."""
        found = list(dict.fromkeys(name for weight in self.weights(node) for name in self.tensors_behind(weight)))
        return [name for name in found if name in self.exported.graph_signature.parameters] or found

    def tensors_behind(self, node: fx.Node) -> list[str]:
        """State-dict names of the placeholders that a static value is computed from."""
        if self.of[node].role == "tensor":
            return [self.of[node].tensor]
        return [name for operand in node.all_input_nodes for name in self.tensors_behind(operand)]

    def names_of(self, parameter: str) -> list[str]:
        """Every name of a shared parameter."""
        tensor = self.exported.state_dict.get(parameter)
        return [name for name, other in self.exported.state_dict.items() if other is tensor] or [parameter]


def synapse_name(facts: ProgramFacts, node: fx.Node) -> str:
    """The module that calls where all weights are its own, one weight immediately; else the parameter's name."""
    if node.meta.get("label"):
        return str(node.meta["label"])
    # conv1 of a ResNet calls with "conv1.weight": the synapse is "conv1". A model's own forward that calls F.linear(x,
    # self.embed.weight) is not the module embed: there the weight's name is what a reader knows, "embed". Of a block
    # whose forward multiplies with its own two weights, both are the block's: its path, with @2 for the second.
    path, parameters = module_path(node), facts.parameters(node)
    inside = path + "."
    own = [any(name.startswith(inside) for name in facts.names_of(parameter)) for parameter in parameters]
    if path and all(own):
        names = [name.removeprefix(inside) for name in facts.names_of(parameters[0])] if len(parameters) == 1 else []
        deeper = names and all("." in name and not name.startswith("parametrizations.") for name in names)
        if not deeper:
            return path
    stem = parameters[0].split(".parametrizations.")[0] if parameters else ""
    return stem.removesuffix(".weight").removesuffix(".weight_orig") or path or node.name


def unused(name: str, used: Iterable[str | None]) -> str:
    """The name, with a number behind it where it is taken."""
    taken, number, candidate = set(used), 2, name
    while candidate in taken:
        candidate, number = f"{name}@{number}", number + 1
    return candidate
