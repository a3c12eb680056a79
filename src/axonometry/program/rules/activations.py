"""Carriers: elementwise nonlinearities hand on the signal that they read."""

from __future__ import annotations

import torch

from axonometry.program.op_call import Lowering, OpCall
from axonometry.program.registry import op_rule, overloads
from axonometry.program.rules.order import choice_rule

UNARY = """
relu relu6 leaky_relu prelu _prelu_kernel elu selu celu gelu silu mish sigmoid tanh hardtanh hardswish
hardsigmoid softplus log_sigmoid threshold softshrink hardshrink rrelu_with_noise rrelu exp exp2 expm1 log
log2 log10 log1p sqrt rsqrt reciprocal square abs sign sgn sin cos tan asin acos atan sinh cosh asinh acosh
atanh erf erfc erfinv logit sinc clamp clip clamp_min clamp_max floor ceil round trunc frac nan_to_num isnan
isinf isfinite i0 special_i0 special_i0e special_i1 special_i1e special_ndtri special_log_ndtr special_erfcx
special_entr digamma lgamma mvlgamma polygamma logical_not bitwise_not
softmax log_softmax _softmax _log_softmax _safe_softmax
""".split()
COMPARISONS = "gt ge lt le eq ne logical_and logical_or logical_xor bitwise_and bitwise_or pow fmod remainder".split()


@op_rule(*overloads(*UNARY))
def unary(call: OpCall) -> Lowering:
    """One signal in, the same signal out; of the modulus of complex numbers, each of a pair has an equal share."""
    value = call.args[0].meta["val"] if call.name == "abs" else None
    if value is not None and value.is_complex():
        return Lowering("wiring", lambda links, x: (x.real + x.imag) * links(0.5) if x.is_complex() else x * links(0.5))
    return call.carried()


@op_rule(*overloads(*COMPARISONS))
def pointwise(call: OpCall) -> Lowering:
    """Elementwise functions of two arguments: read when both come from one signal.

    A comparison of two signals chooses, and has no links.
    """
    if len(call.signals) == 1:
        return call.carried()
    if not call.same_root() and call.node.meta["val"].dtype == torch.bool:
        return choice_rule(call)
    return call.composite()


@op_rule(*overloads("logaddexp", "logaddexp2", "hypot", "atan2", "fmax", "fmin"))
def shared(call: OpCall) -> Lowering:
    """Norms, angles and soft extremes of two different signals: each has an equal share, as of a norm or a maximum."""
    if len(call.signals) == 1:
        return call.carried()
    if call.same_root():
        return call.composite()
    return Lowering("wiring", lambda links, a, b: (a + b) * links(0.5))
