"""Nonlinearities behind max-pooling put in front of it, where both orders give the same values.

A non-decreasing function of the largest is the largest of the function, so that ``relu(max_pool(conv(x)))`` and
``max_pool(relu(conv(x)))`` are one network; written the second way, the nonlinearity acts on the convolution's neurons.

Take ``Sequential(Conv2d(1, 4, 3), MaxPool2d(2), ReLU())``, what it exports to, and what the pass makes of it::

    conv2d     = aten.conv2d(input, ...)                 conv2d       = aten.conv2d(input, ...)
    max_pool2d = aten.max_pool2d(conv2d, ...)            relu_default = aten.relu(conv2d)
    relu       = aten.relu(max_pool2d)                   max_pool2d   = aten.max_pool2d(relu_default, ...)

With a window of -3 and 2 both give 2: relu(max(-3, 2)) = max(relu(-3), relu(2)). ``aten.leaky_relu`` with slope -1 is
|x|, and |max(-3, 2)| = 2 where max(|-3|, |2|) = 3: it is left behind the pooling.
"""

from __future__ import annotations

from torch import fx
from torch.export import ExportedProgram

from axonometry.program.registry import overloads

POOLS = set(overloads("max_pool1d", "max_pool2d", "max_pool3d"))
RISING = set(overloads(*"relu relu6 leaky_relu tanh sigmoid hardtanh hardsigmoid softplus elu celu selu".split()))
SLOPES = set(overloads("leaky_relu", "elu", "celu"))


def pool_last(exported: ExportedProgram) -> ExportedProgram:
    """Swap every max-pooling and the non-decreasing function that alone reads it, in place."""
    graph = exported.graph
    for pool in [node for node in graph.nodes if node.target in POOLS]:
        users = list(pool.users)
        if len(users) != 1 or users[0].target not in RISING or not _rises(users[0]):
            continue
        function, signal = users[0], pool.args[0]
        assert isinstance(signal, fx.Node)
        with graph.inserting_before(pool):
            first = graph.call_function(function.target, (signal, *function.args[1:]), dict(function.kwargs))
        first.meta = {**function.meta, "val": signal.meta["val"]}
        pool.replace_input_with(signal, first)
        function.replace_all_uses_with(pool)
        graph.erase_node(function)
    return exported


def _rises(function: fx.Node) -> bool:
    """Whether the function's slopes are not negative."""
    numbers = [x for x in (*function.args[1:], *function.kwargs.values()) if isinstance(x, (int, float))]
    return function.target not in SLOPES or all(number >= 0 for number in numbers)
