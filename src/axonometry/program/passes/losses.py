"""Losses that a forward pass computes beside its results are no part of the network.

Take a network that returns ``(loss, logits)``, of targets among its inputs, and what it exports to::

    linear = aten.linear(x, p_weight)
    mse_loss = aten.mse_loss(linear, targets)  # a scalar
    return (mse_loss, linear)

The scalar is left out of what is returned, and with it the loss and the targets, which then do nothing::

    linear = aten.linear(x, p_weight)
    return (linear,)

Where a scalar is all that is returned, it is the network's output.
"""

from __future__ import annotations

from torch import fx
from torch.export import ExportedProgram

from axonometry.program.fx_utils import is_float, user_inputs


def leave_out_losses(exported: ExportedProgram) -> ExportedProgram:
    """Return no scalars beside other tensors, in place; inputs that nothing else reads are marked as no signals.

    Parameters that nothing else reads are marked, too, so that coverage can say it.
    """
    graph = exported.graph
    output = next(node for node in reversed(graph.nodes) if node.op == "output")
    results = [node for node in output.all_input_nodes if is_float(node)]
    scalars = {node for node in results if node.meta["val"].dim() == 0}
    if not scalars or len(scalars) == len(results):
        return exported
    read = [node for node in user_inputs(exported) if node.users]
    kept = tuple(value for value in output.args[0] if not (isinstance(value, fx.Node) and value in scalars))
    output.args = (kept,)
    weights = [node for node in graph.nodes if node.op == "placeholder" and node.users]
    graph.eliminate_dead_code()
    for node in weights:
        node.meta["loss"] = not node.users
    for node in read:
        if not node.users:
            node.meta["control"] = True
    return exported
