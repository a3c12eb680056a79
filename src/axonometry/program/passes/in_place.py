"""The exported program without calls that write in place: what every later reader of the graph takes for granted.

``torch.export`` keeps calls as the module makes them, ``relu_(x)`` among them; ``run_decompositions`` traces the whole
graph a second time to make them functional, which takes longer than the export. For most networks the same graph is
found by looking at its calls. Take three lines and what they export to::

    out = self.conv(x)               conv2d    = aten.conv2d(x, weight, bias)
    out += x                         add_      = aten.add_(conv2d, x)
    return self.relu(out)            relu_     = aten.relu_(add_)

``conv2d`` owns its memory and nothing has looked into it before ``add_`` writes, so that ``add_`` may as well return a
new value that stands for both from there on::

    add = aten.add(conv2d, x)        relu = aten.relu(add)

Where it is not as simple (a write through a view, a write to a buffer, a ``torch.cond``, a composite call without a
rule of its own) torch's second trace is made, with its search for composite operators done once a process. Casts to the
type that a value has already, of which a language model has one or two at every norm, are left out as that trace does.
"""

from __future__ import annotations

import inspect
import operator
from functools import cache
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram, exported_program

from axonometry.program.registry import overloads

aten = torch.ops.aten
COMPOSITES = {aten.batch_norm.default: 5, aten.dropout.default: 2}
"""Calls that torch would take apart and that have a rule as they are, where the argument at this place is False."""
SHAPES = set(overloads("flatten", "reshape", "contiguous"))
"""The same without a condition; their results may share memory with what they are given."""
CASTS = set(overloads("to", "type_as"))
"""Likewise, with arguments of any name."""
ARGUMENTS = {"ep", "cia_to_decomp", "python_decomp_table", "joint_loss_index", "decompose_custom_triton_ops"}


def functional(exported: ExportedProgram) -> ExportedProgram:
    """The same program without calls that write in place; the one that is given may be changed."""
    graph = exported.graph
    if all(_is_simple(node) for node in graph.nodes):
        for node in [node for node in graph.nodes if node.op == "call_function" and _writes(node.target)]:
            _without_writing(graph, node)
        for node in [node for node in graph.nodes if node.target in CASTS and _casts_to_its_own(node)]:
            node.replace_all_uses_with(node.all_input_nodes[0])
        graph.eliminate_dead_code()
        return exported
    return _traced_again(exported)


def _is_simple(node: fx.Node) -> bool:
    """Whether torch's second trace would leave a call as it is, but for writing in place."""
    if node.op != "call_function":
        # get_attr names a subgraph, of a torch.cond say, in which there may be writes as well.
        return node.op != "get_attr"
    call = node.target
    if call is operator.getitem:
        return True
    if not isinstance(call, torch._ops.OpOverload):
        return False
    if _writes(call):
        return _functional_of(call) is not None and _owns_what_it_writes(node)
    return not _is_composite(call) or _is_preserved(call) or _is_known(node)


def _is_known(node: fx.Node) -> bool:
    """Whether a composite call that torch would take apart has a rule as it is."""
    if node.target in COMPOSITES:
        place = COMPOSITES[node.target]
        return len(node.args) > place and node.args[place] is False
    return node.target in CASTS or (node.target in SHAPES and not node.kwargs)


def _casts_to_its_own(node: fx.Node) -> bool:
    """Whether a cast returns what it is given, which it does unless a copy is asked for."""
    before, after = node.all_input_nodes[0].meta.get("val"), node.meta.get("val")
    names = [argument.name for argument in node.target._schema.arguments]  # type: ignore[union-attr]
    given = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    if given.get("copy") or given.get("memory_format") not in (None, torch.preserve_format):
        return False
    if not (isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor)):
        return False
    return (before.dtype, before.device) == (after.dtype, after.device)


def _writes(call: Any) -> bool:
    return isinstance(call, torch._ops.OpOverload) and call._schema.is_mutable


def _functional_of(call: Any) -> Any:
    """The operator that returns what this one writes: ``aten.relu`` of ``aten.relu_``; None where there is none."""
    name = str(call.overloadpacket.__name__)
    packet = getattr(aten, name.removesuffix("_"), None) if call.namespace == "aten" and name.endswith("_") else None
    found = getattr(packet, call._overloadname, None)
    return found if found is not None and (not _is_composite(found) or _is_preserved(found)) else None


def _owns_what_it_writes(node: fx.Node) -> bool:
    """Whether a call writes to a value of the program's own that nothing computed so far shares memory with.

    What has read the value before has its own result already; a view would see the write. Writes that follow one
    another write to one memory: ``add_`` and ``relu_`` above are such a chain, which starts with ``conv2d``.
    """
    chain = [node]
    while _writes(chain[-1].target):
        written = chain[-1].args[0]
        if not isinstance(written, fx.Node) or written.op != "call_function":
            return False
        before, after = written.meta["val"], chain[-1].meta["val"]
        if before.shape != after.shape or _promotes(chain[-1], before.dtype):
            return False
        chain.append(written)
    readers = [user for value in chain[1:] for user in value.users if user not in chain and user < node]
    return not any(_shares_memory(value) for value in (chain[-1], *readers))


def _promotes(node: fx.Node, kept: torch.dtype) -> bool:
    """Whether a call that returns its result may have another type: of h in half precision, ``h += x`` is half.

    ``h + x`` with x in single precision is single.
    """
    values = [operand.meta.get("val") for operand in node.all_input_nodes]
    return any(isinstance(v, torch.Tensor) and v.is_floating_point() and v.dtype != kept for v in values)


def _shares_memory(node: fx.Node) -> bool:
    """Whether a call's result may lie in the memory of its argument."""
    call = node.target
    if node.op != "call_function" or not isinstance(call, torch._ops.OpOverload):
        return node.op != "output"
    aliases = any(result.alias_info is not None for result in call._schema.returns)
    return aliases or (_is_composite(call) and not _is_preserved(call) and call is not aten.batch_norm.default)


def _without_writing(graph: fx.Graph, node: fx.Node) -> None:
    """Put a call that returns its result in the place of one that writes it over its first argument."""
    written = node.args[0]
    assert isinstance(written, fx.Node)
    with graph.inserting_before(node):
        call = graph.call_function(_functional_of(node.target), node.args, dict(node.kwargs))
    call.meta = dict(node.meta)
    # A reader in front of the write has read what was there before: of y = h * 2; h.relu_(); z = h + y only z reads
    # relu.
    later = set()
    for reader in reversed(graph.nodes):
        if reader is node:
            break
        later.add(reader)
    for reader in [reader for reader in written.users if reader in later]:
        reader.replace_input_with(written, call)
    node.replace_all_uses_with(call)
    graph.erase_node(node)


# the second trace ----------------------------------------------------------------------------------------------------


def _traced_again(exported: ExportedProgram) -> ExportedProgram:
    """``exported.run_decompositions({})``, which keeps every functional composite operator whole."""
    decompose = getattr(exported_program, "_decompose_exported_program", None)
    # The private function of which run_decompositions is made is called where it is the one that was looked at, with
    # the costly part of it, the table of composite operators, given.
    if decompose is None or set(inspect.signature(decompose).parameters) != ARGUMENTS:
        return exported.run_decompositions({})  # a torch version whose inside is another one
    from torch._export.utils import _special_op_to_preserve_cia

    kept = dict.fromkeys(_composites_within(exported), _special_op_to_preserve_cia)
    nothing: dict[str, Any] = {"python_decomp_table": {}, "joint_loss_index": None}
    result: ExportedProgram = decompose(exported, cia_to_decomp=kept, decompose_custom_triton_ops=False, **nothing)
    return result


def _composites_within(exported: ExportedProgram) -> set[Any]:
    """The composite operators to be kept whole: those called, and all others where one that is taken apart calls more.

    Torch keeps all of its 600 whatever is called, at 0.1 ms each.
    """
    modules = [part for part in exported.graph_module.modules() if isinstance(part, fx.GraphModule)]
    nodes = [node for part in modules for node in part.graph.nodes if node.op == "call_function"]
    called = {node.target for node in nodes if isinstance(node.target, torch._ops.OpOverload)}
    apart = [node for node in nodes if node.target in called and _is_composite(node.target)]
    if all(_is_preserved(node.target) or _is_known(node) for node in apart):
        return {call for call in called if _is_composite(call) and _is_preserved(call)}
    return set(_all_composites()) | {call for call in called if _is_composite(call) and _is_preserved(call)}


@cache
def _all_composites() -> frozenset[Any]:
    """The functional composite operators of torch; those of other libraries are added as they are met."""
    from torch._export.utils import _collect_all_valid_cia_ops

    return frozenset(_collect_all_valid_cia_ops())


@cache
def _is_composite(call: Any) -> bool:
    """Whether an operator is defined by calls of others."""
    from torch._export.utils import _is_cia_op

    return bool(_is_cia_op(call))


@cache
def _is_preserved(call: Any) -> bool:
    """Whether a composite operator is functional, so that torch can keep it whole."""
    from torch._export.utils import _is_preservable_cia_op

    return bool(_is_preservable_cia_op(call))
