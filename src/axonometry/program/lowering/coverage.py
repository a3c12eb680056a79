"""The account of every parameter: what claims it, or why nothing does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import fx
from torch.export import ExportedProgram

from axonometry.program.ir import Coverage
from axonometry.program.op_call import NodeFacts, module_path

REASONS = {
    "synapse": "weights of links",
    "bias": "constant term of a sum",
    "normalisation": "gain, shift or scale folded into links",
    "activation": "inside a nonlinearity, which carries its input",
}


def account(exported: ExportedProgram, facts: Mapping[fx.Node, NodeFacts], live: set[fx.Node]) -> tuple[Coverage, ...]:
    """One :class:`Coverage` a parameter, in the module's order.

    Args:
        exported: The program.
        facts: What the lowering has found out about each node, in the program's order.
        live: The calls that the cut reading needs.
    """
    behind: dict[fx.Node, frozenset[str]] = {}
    for node, known in facts.items():
        if known.role == "tensor":
            behind[node] = frozenset([known.tensor])
        elif known.role == "static":
            behind[node] = frozenset().union(*(behind.get(operand, frozenset()) for operand in node.all_input_nodes))
    claims: dict[str, Coverage] = {}
    # Calls that the cut reading needs come first. A weight that is a synapse in one call and inside a nonlinearity in
    # another is the synapse's; the first claim stays but for that.
    for node in sorted((node for node, known in facts.items() if known.lowering), key=lambda node: node not in live):
        lowering = facts[node].lowering
        assert lowering is not None
        weights = [*_nodes(node.args[lowering.weight]), *lowering.gains] if lowering.kind == "synapse" else []
        for operand in node.all_input_nodes:
            for name in behind.get(operand, ()):
                role = "synapse" if operand in weights else (lowering.role if node in live else "activation")
                by = facts[node].synapse or module_path(node) or node.name
                if name not in claims or role == "synapse" != claims[name].role:
                    claims[name] = Coverage(name, role, by, REASONS[role])
    # Tied weights are one tensor with several names, and the calls know it by the first: the others share its claim.
    first: dict[int, str] = {}
    same = {name: first.setdefault(id(tensor), name) for name, tensor in exported.state_dict.items()}
    of_loss = {
        exported.graph_signature.inputs_to_parameters.get(node.name)
        for node in exported.graph.nodes
        if node.meta.get("loss")
    }
    unused = "the forward pass on the example does not use it"
    lost = "a result of one number alone reads it, which is left out beside the others, as a loss is"
    return tuple(
        replace(claims[same[name]], parameter=name)
        if same[name] in claims
        else Coverage(name, "unclaimed", "", lost if name in of_loss else unused)
        for name in exported.graph_signature.parameters
    )


def _nodes(argument: Any) -> list[Any]:
    return list(argument) if isinstance(argument, (list, tuple)) else [argument]
