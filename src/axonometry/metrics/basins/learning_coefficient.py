r"""Local learning coefficient: how many directions of weight space a loss does not notice, near the weights.

λ = n β (E[L(w)] - L(w*)), β = 1 / log n, the mean over weights w that are drawn near w* from exp(-n β L(w) - γ/2 ‖w -
w*‖²) by stochastic gradient Langevin dynamics,

    w ← w - ε/2 (n β ∇L(w) + γ (w - w*)) + √ε η,   η standard normal.

A loss that is quadratic in all d weights has λ = d / 2; directions that change nothing lower it: (w₁ w₂)² has 1 / 2 in
place of 1. Pulled back by γ, a quadratic loss ½ h w² gives n β h / (2 (n β h + γ)) for each weight in place of 1/2, so
that γ is small beside n β h, [our choice].

Source: Lau et al. 2023, arXiv 2308.12108, as devinterp estimates it; Watanabe 2013. Chains that have not settled, and
negative coefficients, which say that w* is no minimum, are refused instead of reported ([our choice]).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from axonometry.arguments import argument_errors
from axonometry.errors import ConfigurationError, ConvergenceError
from axonometry.statistics import Estimate, mean_estimate

SETTLED = 3.0
"""Standard errors by which the two halves of all chains may differ."""


@argument_errors
@dataclass(frozen=True)
class LangevinPlan:
    """How weights are drawn.

    Attributes:
        chains: Chains, each from the weights themselves.
        steps: Draws of each.
        burn_in: Draws before, which do not count.
        step_size: ε.
        pull: γ, towards the weights.
        seed: Of the noise.

    Raises:
        ConfigurationError: There are fewer than 2 chains or 10 steps, or a step size or pull is not above 0.
    """

    chains: int = 4
    steps: int = 400
    burn_in: int = 200
    step_size: float = 1e-4
    pull: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.chains < 2 or self.steps < 10 or self.burn_in < 0:
            came = f"{self.chains} chains, {self.steps} steps, {self.burn_in} before"
            raise ConfigurationError("Langevin chains are 2 or more of 10 steps or more", came, "Keep the defaults")
        if not (self.step_size > 0 and self.pull > 0):
            came = f"a step size of {self.step_size} and a pull of {self.pull}"
            raise ConfigurationError("step size and pull are above 0", came, "Keep the defaults")


@argument_errors
def learning_coefficient(
    model: nn.Module, loss: Callable[[nn.Module], Tensor], n: int, plan: LangevinPlan | None = None
) -> Estimate:
    """The local learning coefficient of any network and loss at the weights that it has.

    Args:
        model: The network, trained; its weights and mode are left as they are.
        loss: Of the network, the mean over samples; it may draw a batch at each call.
        n: Number of samples that the loss stands for.
        plan: How weights are drawn.

    Returns:
        The mean over chains with its interval, n the number of chains.

    Raises:
        ConvergenceError: A chain left where the loss is finite, the chains have not settled, or the coefficient is
            negative, as it is where the weights are no minimum.
        ConfigurationError: There are fewer than 3 samples.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.zeros_(model.weight)
    >>> found = learning_coefficient(model, lambda m: m.weight.square().sum(), 1000, LangevinPlan(step_size=1e-3))
    >>> found.low < 0.5 < found.high  # one weight of a quadratic loss
    True
    """
    if n < 3:
        raise ConfigurationError("a learning coefficient is of 3 samples or more", str(n), "Pass their number")
    plan = plan or LangevinPlan()
    parameters = [p for p in model.parameters() if p.requires_grad]
    start = [p.detach().clone() for p in parameters]
    beta = 1 / math.log(n)
    try:
        with torch.no_grad():
            at_rest = float(loss(model))
        losses = [_chain(model, loss, (parameters, start), n * beta, plan, chain) for chain in range(plan.chains)]
    finally:
        with torch.no_grad():
            for parameter, value in zip(parameters, start, strict=True):
                parameter.copy_(value)
    drawn = torch.tensor(losses, dtype=torch.float64)
    _refuse_unsettled(drawn)
    found = mean_estimate((n * beta * (drawn.mean(1) - at_rest)).tolist(), unit="chains", within=(-math.inf, math.inf))
    if found.value < 0:
        came = f"{found.value:.3g}: the loss falls on average around them"
        raise ConvergenceError("a learning coefficient is of weights at a minimum", came, "Train on, then measure")
    return found


def _chain(
    model: nn.Module,
    loss: Callable[[nn.Module], Tensor],
    weights: tuple[list[nn.Parameter], list[Tensor]],
    strength: float,
    plan: LangevinPlan,
    chain: int,
) -> list[float]:
    """The losses of one chain's draws."""
    parameters, start = weights
    generator = torch.Generator(parameters[0].device).manual_seed(plan.seed * 7919 + chain)
    found: list[float] = []
    with torch.no_grad():
        for parameter, value in zip(parameters, start, strict=True):
            parameter.copy_(value)
    for step in range(plan.burn_in + plan.steps):
        with torch.enable_grad():
            drawn = loss(model)
            gradients = torch.autograd.grad(drawn, parameters, allow_unused=True)
        now = float(drawn.detach())
        if not math.isfinite(now):
            rule = "a Langevin chain stays where the loss is finite"
            raise ConvergenceError(rule, f"{now} at step {step}", "Give a smaller step_size")
        if step >= plan.burn_in:
            found.append(now)
        with torch.no_grad():
            for p, origin, gradient in zip(parameters, start, gradients, strict=True):
                drift = plan.pull * (p - origin)
                drift = drift if gradient is None else drift + strength * gradient
                noise = torch.randn(p.shape, generator=generator, dtype=p.dtype, device=p.device)
                p.add_(noise * math.sqrt(plan.step_size) - plan.step_size / 2 * drift)
    return found


def _refuse_unsettled(drawn: Tensor) -> None:
    """The means of the second halves against those of the first, over chains."""
    first, second = (half.mean(1) for half in drawn.tensor_split(2, dim=1))
    apart = float((second - first).mean())
    error = float((second - first).std()) / math.sqrt(len(first))
    if abs(apart) > max(SETTLED * error, 0.1 * float(drawn.std())):
        came = f"halves whose losses differ by {apart:.2g}, {apart / error:.1f} standard errors"
        raise ConvergenceError("Langevin chains have settled", came, "Give a longer burn_in, or a larger step_size")
