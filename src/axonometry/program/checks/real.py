"""That links have real weights: a complex one would lose its imaginary part somewhere, and mean nothing elsewhere.

Signals may be complex inside a network (``torch.fft.rfft``, a fixed rotation): each is a pair of real neurons.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.utils._pytree import tree_leaves

from axonometry.errors import CaptureError
from axonometry.program.fx_utils import depending, user_inputs
from axonometry.program.op_call import place_of
from axonometry.program.registry import overloads

RULE = "a link's weight is a real number"
SYNAPSES = {
    *overloads("linear", "matmul", "mm", "bmm", "mv", "einsum", "addmm", "baddbmm", "bilinear", "convolution"),
    *overloads(*(f"conv{kind}{rank}d" for kind in ("", "_transpose") for rank in (1, 2, 3))),
}


def check_real(module: nn.Module, inputs: Any) -> None:
    """That no parameter and no input is complex.

    Raises:
        CaptureError: One is.
    """
    for name, weight in module.named_parameters():
        if weight.is_complex():
            remedy = "Hold its real and imaginary parts as two real parameters, with a product for each"
            raise CaptureError(RULE, f"{name!r} of type {weight.dtype}", remedy)
    for leaf in tree_leaves(inputs):
        if isinstance(leaf, Tensor) and leaf.is_complex():
            remedy = "Pass torch.view_as_real(x), and let the module begin with torch.view_as_complex"
            raise CaptureError("an input neuron has a real value", f"an input of type {leaf.dtype}", remedy)


def check_real_weights(exported: ExportedProgram) -> None:
    """That no weight of a linear map has been made complex, as by ``torch.view_as_complex``.

    Raises:
        CaptureError: One has.
    """
    signals = depending(exported, user_inputs(exported))
    for node in exported.graph.nodes:
        # a kernel that is computed from complex numbers, and is real in the end, is no complex weight
        if (
            node.target in SYNAPSES
            and node in signals
            and any(n not in signals and _is_complex(n) for n in node.all_input_nodes)
        ):
            came = f"a complex weight of {node.target} at {place_of(node)}"
            raise CaptureError(RULE, came, "Write the product out in real and imaginary parts")


def _is_complex(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.is_complex()
