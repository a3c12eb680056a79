"""All proxies of a network at once, beside its number of parameters, which none surely beats (ZiCo, ICLR 2023)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from axonometry.arguments import argument_errors
from axonometry.errors import SamplesError
from axonometry.metrics.basins.captured import CapturedClassifier, labelled
from axonometry.metrics.basins.classifier import Classifier, examined
from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.rows import NETWORK, Row, n_classes
from axonometry.metrics.zero_cost.flow import path_norm, synaptic_flow
from axonometry.program.ir import Group
from axonometry.program.readings.adjacency import statics_of
from axonometry.program.readings.live import one_sample
from axonometry.program.readings.live_plan import live_plan_of
from axonometry.program.readings.samples import input_axes

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph

Loss = Callable[[Tensor, Tensor], Tensor]
PROXIES = (
    "parameters",
    "flops",
    "synflow",
    "path_norm",
    "grad_norm",
    "snip",
    "grasp",
    "fisher",
    "jacob_cov",
    "naswot",
    "zico",
)
"""What :func:`proxies` gives, by name."""
_RIDGE = 1e-5


def _rows(shared: Shared) -> Iterator[Row]:
    if n_classes(shared.graph):
        found = proxies(shared.graph, labelled(shared.graph, shared.samples))
        yield from ((NETWORK, name, value) for name, value in found.items())


@measured(
    name="proxies",
    title="Zero-cost proxies",
    units="synflow, path_norm, naswot, zico: natural logs; the others as in their sources",
    range="all reals; parameters, flops, grad_norm, snip and fisher at least 0",
    invariances="permuting the neurons of a layer",
    source="Tanaka et al. 2020; Neyshabur et al. 2015; Lee et al. 2019; Wang et al. 2020; Turner et al. 2020; "
    "Mellor et al. 2021; Abdelfattah et al. 2021; Li et al. 2023",
    needs_samples=True,
    needs_labels=True,
    cost="about ten passes forward and back over the samples",
    opt_in=True,
    table=_rows,
)
@argument_errors
def proxies(graph: NeuralGraph, batch: tuple[Tensor, Tensor], loss: Loss = F.cross_entropy) -> dict[str, float]:
    """Numbers that are said to tell before training how well a network will learn.

    With θ all parameters, g the gradient of the mean loss, H its Hessian, a the activations of a unit, J the gradient
    of the sum of the outputs by one sample:

    - ``parameters``; ``flops``: links, each counted by position, a multiplication and an addition for one sample;
    - ``synflow``, ``path_norm``: :mod:`axonometry.metrics.zero_cost.flow`, as natural logs;
    - ``grad_norm``: the root of the sum over parameters of g² (Abdelfattah et al. 2021);
    - ``snip``: Σ |θ g| (Lee et al. 2019); ``grasp``: -θ' H g (Wang et al. 2020);
    - ``fisher``: Σ over units of the mean over samples of (a da)², a summed over places of a channel (Turner et al.);
    - ``jacob_cov``: -Σ [ln(v + k) + 1/(v + k)] over the eigenvalues v of the correlations between samples' J, k = 1e-5
      (Mellor et al. 2021, first version);
    - ``naswot``: ln |det K|, K_ij the number of hidden units that are above 0 for both samples or for neither (Mellor
      et al. 2021); -inf where two samples are told apart by none;
    - ``zico``: Σ over weights' tensors of ln Σ (mean |g| / sd |g|), over halves of the batch (Li et al. 2023, which
      takes two batches).

    Args:
        graph: A network at one snapshot, with one input and one output group.
        batch: Samples of shape (P, ...), at least two, and the class of each, shape (P,).
        loss: Mean loss of logits and labels.

    Raises:
        SamplesError: The batch does not fit the network, or has fewer than two samples.

    >>> from axonometry.testing import graph_of
    >>> found = proxies(
    ...     graph_of([[1.0], [-1.0]], [[1.0, 0.0], [0.0, 1.0]]), (torch.tensor([[1.0], [-2.0]]), torch.tensor([0, 1]))
    ... )
    >>> found["parameters"], found["flops"], round(math.exp(found["naswot"]), 6)
    (6.0, 6.0, 4.0)
    """
    samples, labels = batch
    if len(samples) < 2:
        raise SamplesError("proxies compare samples", str(len(samples)), "Give at least two")
    with (
        examined(CapturedClassifier(graph), samples, labels, diverged=True) as classifier,
        torch.enable_grad(),
        sdpa_kernel(SDPBackend.MATH),
    ):
        named = {name: p.detach().requires_grad_() for name, p in classifier.model.named_parameters()}
        gradients = _gradients(classifier, named, loss)
        found = {
            "parameters": float(sum(p.numel() for p in named.values())),
            "flops": float(graph.n_links),
            "synflow": synaptic_flow(graph),
            "path_norm": path_norm(graph),
            "grad_norm": math.sqrt(sum(float(g.double().square().sum()) for g in gradients)),
            "snip": sum(
                float((p.detach() * g).abs().double().sum()) for p, g in zip(named.values(), gradients, strict=True)
            ),
            "grasp": _grasp(classifier, named, loss),
            "zico": _zico(classifier, named, loss),
        }
        found |= _of_samples(graph, classifier, loss)
    return {name: found[name] for name in PROXIES}


def _loss_of(classifier: Classifier, named: dict[str, Tensor], loss: Loss, rows: slice = slice(None)) -> Tensor:
    logits = functional_call(classifier.model, named, (classifier.samples[rows],))
    return loss(logits, classifier.labels[rows])


def _gradients(
    classifier: Classifier, named: dict[str, Tensor], loss: Loss, rows: slice = slice(None), *, again: bool = False
) -> tuple[Tensor, ...]:
    total = _loss_of(classifier, named, loss, rows)
    return torch.autograd.grad(total, list(named.values()), create_graph=again, materialize_grads=True)


def _grasp(classifier: Classifier, named: dict[str, Tensor], loss: Loss) -> float:
    """-θ' H g: H g is the gradient of g' c at c = g."""
    gradients = _gradients(classifier, named, loss, again=True)
    product = torch.stack([(g * g.detach()).sum() for g in gradients]).sum()
    if not product.requires_grad:  # the loss is linear in every parameter
        return 0.0
    curved = torch.autograd.grad(product, list(named.values()), materialize_grads=True)
    return -sum(float((p.detach() * h).double().sum()) for p, h in zip(named.values(), curved, strict=True))


def _correlated(jacobians: Tensor) -> float:
    """-Σ [ln(v + k) + 1/(v + k)] over the eigenvalues v of the correlations between rows."""
    rows = jacobians - jacobians.mean(1, keepdim=True)
    rows = rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-300)
    values = torch.linalg.eigvalsh(rows @ rows.T).clamp_min(0) + _RIDGE
    return -float((values.log() + 1 / values).sum())


def _zico(classifier: Classifier, named: dict[str, Tensor], loss: Loss) -> float:
    half = len(classifier.samples) // 2
    parts = [_gradients(classifier, named, loss, rows) for rows in (slice(0, half), slice(half, None))]
    total = 0.0
    for gradients in zip(*parts, strict=True):
        if gradients[0].dim() < 2:
            continue
        sizes = torch.stack(gradients).abs().double()
        spread = sizes.std(0, correction=0)
        moving = spread > 0
        if bool(moving.any()):
            total += math.log(float((sizes.mean(0)[moving] / spread[moving]).sum()))
    return total


def _of_samples(graph: NeuralGraph, classifier: Classifier, loss: Loss) -> dict[str, float]:
    """Proxies of hidden neurons' activations and of gradients by the inputs, one sample after the other."""
    hidden = [group for group in graph.groups if group.role == "hidden"]
    output = next(group.name for group in graph.groups if group.role == "output")
    plan = live_plan_of(graph, [*(group.name for group in hidden), output])
    (axis,) = input_axes(graph)
    stacked = axis.stacked(classifier.samples if axis.axis is None else classifier.samples.movedim(0, axis.axis))
    state = {name: tensor.detach().clone() for name, tensor in graph.state.items()}
    for name in graph.program.parameters:
        state[name].requires_grad_(state[name].is_floating_point())
    statics = statics_of(plan.program, state, differentiable=True)
    sums = [plan.pre_activations[group.name] for group in hidden]
    nodes = [*(plan.activations[group.name] for group in hidden), plan.activations[output]]
    fisher, above, jacobians = 0.0, [], []
    for sample, label in zip(stacked, classifier.labels, strict=True):
        own_sample = sample.clone().requires_grad_(sample.is_floating_point())
        *own, logits = one_sample(plan, statics, (own_sample,), nodes)
        total = loss(logits.reshape(1, -1), label[None]) / len(stacked)
        if own:
            pulled = torch.autograd.grad(total, own, retain_graph=True, materialize_grads=True)
            fisher += sum(map(_by_channel, hidden, own, pulled)) / len(stacked)
        if own_sample.requires_grad:
            jacobians.append(torch.autograd.grad(logits.sum(), own_sample)[0].flatten().double())
        values = one_sample(plan, statics, (sample,), sums)
        above.append(torch.cat([(value.detach() > 0).flatten() for value in values]).double() if values else sample)
    return {
        "fisher": fisher,
        "naswot": _log_kernel(torch.stack(above)) if hidden else -math.inf,
        "jacob_cov": _correlated(torch.stack(jacobians)) if jacobians else math.nan,
    }


def _log_kernel(patterns: Tensor) -> float:
    """Ln |det K|, K_ij the number of units at which the patterns i and j agree."""
    kernel = patterns @ patterns.T + (1 - patterns) @ (1 - patterns).T
    return float(torch.linalg.slogdet(kernel).logabsdet)


def _by_channel(group: Group, value: Tensor, gradient: Tensor) -> float:
    """The sum over channels of (a da)², a da summed over a channel's places."""
    product = (value * gradient).detach().double().reshape(group.shape).movedim(group.channel_axis, 0)
    return float(product.flatten(1).sum(1).square().sum() if product.dim() > 1 else product.square().sum())
