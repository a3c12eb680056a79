"""Random draws in the forward pass: a program computes the same each time, or is refused.

Dropout that is always on multiplies each value with a mask whose mean is one, so that the mean of its result is the
value itself. The export spells it out, and the pass puts the mean in the place of the draw::

    return self.b(F.dropout2d(self.a(x), 0.3))    bernoulli = aten.bernoulli.p(empty, 0.7)    # full([...], 0.7)
                                                  div       = aten.div(bernoulli, 0.7)        # 1
                                                  mul       = aten.mul(linear, div)

So it does with masks written by hand, ``(torch.rand_like(h) < 0.7) * h / 0.7``. A mean stands for a draw only where the
result is linear in it: that of ``mean + noise * deviation`` (a variational autoencoder) goes through nonlinear
functions, and whether the noise belongs to the network is the user's to say. If such draws change what the program
computes under two seeds, they are an error, unless the capture is told to take them at their means.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram

from axonometry.errors import CaptureError
from axonometry.program.draws import SWITCHES, may_draw, mean_of
from axonometry.program.example import noisy
from axonometry.program.fx_utils import depending, insert, shape_of, user_inputs
from axonometry.program.op_call import place_of
from axonometry.program.registry import overloads

aten = torch.ops.aten
SAMPLES, SEEDS = 4, 3
UNIFORM = set(overloads("rand", "rand_like", "uniform"))
FLOOR, SUM = set(overloads("floor")), set(overloads("add"))
ABOVE, BELOW = set(overloads("gt", "ge")), set(overloads("lt", "le"))
LINEAR = set(overloads(*"mul div sub add rsub neg to _to_copy clone view reshape expand unsqueeze squeeze".split()))
DIVISION, PRODUCT = set(overloads("div")), set(overloads("mul"))
RULE = "a forward pass computes the same each time"


def take_means(exported: ExportedProgram) -> ExportedProgram:
    """Put means in the place of draws, in place; ``meta["randomness"]`` says which: ``"refuse"`` or ``"fix"``.

    Raises:
        CaptureError: A draw that is not a mask changes the result.
    """
    graph, module = exported.graph, exported.graph_module
    signals = depending(exported, user_inputs(exported))
    if any(_draws(node) for node in graph.nodes):
        for node in [node for node in graph.nodes if node.target is aten._assert_tensor_metadata.default]:
            graph.erase_node(node)  # it asks for the type of the draw, where a mean of another type may stand soon
    for node in list(graph.nodes):
        if node.target is aten.rrelu.default:
            _mean_slope(graph, node)
        elif _draws(node):
            _without_dropout(node)
            _mean_of_mask(graph, node, signals)
    drawn = _drawn(graph)
    if drawn and module.meta.get("randomness") != "fix":
        if _differs(exported):
            raise CaptureError(
                RULE,
                f"{drawn[0].target} at {place_of(drawn[0])}, whose draws change the result",
                'Pass the noise as an input, or capture with randomness="fix" to take each draw at its mean',
            )
        module.meta["decided"] = True  # with these weights: a noise of size 0
    for node in drawn:
        _fix(exported, node)
    for node in reversed(graph.nodes):  # torch keeps a draw whose result nobody reads
        if not node.users and _draws(node):
            graph.erase_node(node)
    graph.eliminate_dead_code()
    _drop_generators(exported)
    return exported


def _drop_generators(exported: ExportedProgram) -> None:
    """Take away the generators that nothing draws from any more, which are constants of the program but no tensors."""
    placeholders = [node for node in exported.graph.nodes if node.op == "placeholder"]
    specs = exported.graph_signature.input_specs
    for node, spec in list(zip(placeholders, specs, strict=True)):
        if not node.users and isinstance(exported.constants.get(str(spec.target)), torch.Generator):
            exported.graph.erase_node(node)
            specs.remove(spec)
            del exported.constants[str(spec.target)]


def _draws(node: fx.Node) -> bool:
    return node.op == "call_function" and may_draw(node.target, node.args, dict(node.kwargs))


def _drawn(graph: fx.Graph) -> list[fx.Node]:
    """The draws that the output depends on."""
    needed: set[fx.Node] = set()
    for node in reversed(graph.nodes):
        if node.op == "output" or node in needed:
            needed.update(node.all_input_nodes)
    return [node for node in graph.nodes if node in needed and _draws(node)]


# masks ---------------------------------------------------------------------------------------------------------------


def _without_dropout(node: fx.Node) -> None:
    """Turn off what has a switch: dropout, the drawn slope of a leaky ReLU, the dropout of fused attention."""
    schema = [argument.name for argument in node.target._schema.arguments]  # type: ignore[union-attr]
    name = next((name for name in SWITCHES if name in schema), None)
    if name is None:
        return
    place, off = schema.index(name), SWITCHES[name]
    if place < len(node.args):
        node.args = (*node.args[:place], off, *node.args[place + 1 :])
    else:
        node.kwargs = {**node.kwargs, name: off}


def _mean_slope(graph: fx.Graph, node: fx.Node) -> None:
    """A leaky ReLU whose slope is drawn between two bounds."""
    x, low, high = (*node.args, 1 / 8, 1 / 3)[:3] if len(node.args) == 1 else node.args[:3]
    with graph.inserting_before(node):
        slope = (float(low) + float(high)) / 2  # type: ignore[arg-type]
        made = insert(graph, aten.leaky_relu.default, (x, slope), shape=shape_of(node), like=node)
    node.replace_all_uses_with(made)
    graph.erase_node(node)


def _mean_of_mask(graph: fx.Graph, node: fx.Node, signals: set[fx.Node]) -> None:
    """The mean in the place of a mask that does nothing but multiply signals."""
    if node.target in (aten.bernoulli.p, aten.bernoulli.default) and node not in signals:
        if _is_factor(node, signals):
            _put(graph, node, mean_of(node.target, node.args, dict(node.kwargs)))
    elif node.target in UNIFORM and node not in signals:
        for user in list(node.users):
            user = _floor_behind(user)  # noqa: PLW2901
            share = _share(node, user)
            if share is not None and _is_factor(user, signals):
                _put(graph, user, share, dtype=torch.get_default_dtype())


def _share(drawn: fx.Node, user: fx.Node) -> float | None:
    """The mean of ``drawn < constant`` for a uniform number from 0 to 1; None for another use of it."""
    if str(drawn.target).startswith("aten.uniform") and drawn.args[1:] not in ((), (0.0, 1.0)):
        return None
    # stochastic depth: floor(0.8 + u) is 1 where u >= 0.2, in 0.8 of all draws; u < 0.3 in 0.3 of them, u > 0.3 in 0.7.
    floor = user.target in FLOOR  # floor(drawn + constant) is 1 as often as the constant says
    call: Any = user.args[0] if floor else user
    if call.target not in (SUM if floor else ABOVE | BELOW) or call.args[0] is not drawn:
        return None
    bound = call.args[1]
    if isinstance(bound, fx.Node):
        return None
    share = min(max(float(bound), 0.0), 1.0)
    return 1 - share if user.target in ABOVE else share


def _floor_behind(user: fx.Node) -> fx.Node:
    behind = list(user.users)
    return behind[0] if user.target in SUM and len(behind) == 1 and behind[0].target in FLOOR else user


def _is_factor(mask: fx.Node, signals: set[fx.Node]) -> bool:
    """Whether a value multiplies signals, or is added to what does, before anything nonlinear is made of it."""
    pending = list(mask.users)
    met = {mask}
    while pending:
        user = pending.pop()
        # mask * h is linear in the mask and its mean may stand for it. h / mask, mask * mask and relu(mask * c) are
        # not: E[m²] of a mask of 0 and 1 that is 1 in 0.7 of all draws is 0.7, and 0.7² is 0.49.
        operands = [argument for argument in user.args[:2] if argument in met]
        divides = user.target in DIVISION and user.args[0] not in met
        squared = user.target in PRODUCT and len(operands) > 1
        if user.target not in LINEAR or divides or squared or not user.meta["val"].is_floating_point():
            return False
        if user not in signals and user not in met:
            met.add(user)
            pending += user.users
    return True


# what is left --------------------------------------------------------------------------------------------------------


def _differs(exported: ExportedProgram) -> bool:
    """Whether passes under several seeds have several results; weights without values count as different."""
    if any(isinstance(t, Tensor) and t.is_meta for t in exported.state_dict.values()):
        return True
    for sample in range(SAMPLES):  # of one alone, what is drawn may be multiplied with zeros
        generator = torch.Generator().manual_seed(sample)
        leaves = [
            noisy(leaf, generator) if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf
            for leaf in torch.utils._pytree.tree_leaves(exported.example_inputs)
        ]
        first: list[Any] = []
        for seed in range(SEEDS):
            torch.manual_seed(seed)
            results = _results(exported, leaves)
            first = first or results
            if any(not torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(first, results, strict=True)):
                return True
    return False


def _results(exported: ExportedProgram, leaves: Iterable[Any]) -> list[Tensor]:
    """What the program returns; the first result of each call is remembered for as long as the pass runs."""
    given, held = iter(leaves), {**exported.state_dict, **exported.constants}
    arguments = (held[s.target] if s.target in held else next(given) for s in exported.graph_signature.input_specs)
    values: dict[fx.Node, Any] = {}
    for node in exported.graph.nodes:
        if node.op == "placeholder":
            values[node] = next(arguments)
        elif node.op == "get_attr":
            values[node] = getattr(exported.graph_module, str(node.target))
        elif node.op == "output":
            break
        else:
            args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), values.__getitem__)
            values[node] = node.target(*args, **kwargs)
    return [values[operand] for operand in node.all_input_nodes if isinstance(values[operand], Tensor)]


def _fix(exported: ExportedProgram, node: fx.Node) -> None:
    """A constant in the place of a draw: its mean, or where there is none, one draw."""
    mean = mean_of(node.target, node.args, dict(node.kwargs))
    if mean is not None:
        _put(exported.graph, node, mean)
        return
    torch.manual_seed(0)
    try:
        drawn = _evaluated(exported, node)
    except LookupError as error:
        raise CaptureError(
            RULE,
            f"{node.target} at {place_of(node)}, a draw from values of the network, which has no mean",
            "Pass what is drawn as an input",
        ) from error
    name = f"_{node.name}"
    exported.graph_module.register_buffer(name, drawn)
    with exported.graph.inserting_before(node):
        constant = exported.graph.get_attr(name)
    constant.meta = dict(node.meta)
    node.replace_all_uses_with(constant)
    exported.graph.erase_node(node)


def _evaluated(exported: ExportedProgram, node: fx.Node) -> Any:
    """The value of a node that follows from numbers of the program alone, as of ``multinomial(ones(5), 3)``.

    Raises:
        LookupError: It follows from an input or a weight.
    """
    if node.op == "get_attr":
        return getattr(exported.graph_module, str(node.target))
    if node.op != "call_function":
        raise LookupError(node.name)
    args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), lambda operand: _evaluated(exported, operand))
    return node.target(*args, **kwargs)  # type: ignore[operator]


def _put(graph: fx.Graph, node: fx.Node, mean: Any, *, dtype: torch.dtype | None = None) -> None:
    """A mean in the place of a draw: a number everywhere, or a value that may have to be expanded."""
    value, shape = node.meta["val"], shape_of(node)
    with graph.inserting_before(node):
        if not isinstance(mean, fx.Node):
            made = insert(graph, aten.full.default, (list(shape), mean), shape=shape, like=node, dtype=dtype)
            made.kwargs = {"dtype": dtype or value.dtype, "device": value.device}
        elif shape_of(mean) != shape:
            made = insert(graph, aten.expand.default, (mean, list(shape)), shape=shape, like=node)
        else:
            made = mean
    node.replace_all_uses_with(made)
    graph.erase_node(node)
