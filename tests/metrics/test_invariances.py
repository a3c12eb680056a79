"""Every promise of the catalogue's ``invariances``: a change that leaves a measure alone is made, and it stays.

Exchanges of neurons are tried in tests/program/symmetry/test_invariances.py, of every measure on eight networks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import axonometry as ax
from axonometry.metrics import TrainingState
from tests.program.symmetry.networks import Function
from tests.program.symmetry.test_symmetry import made, moved_weights

State = dict[str, Tensor]
Table = dict[tuple[str, str], list[float]]
PERMUTING = "permuting"
"""How promises of exchanges begin, whose test is another."""


def random(*shape: int, seed: int = 3) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotation(size: int) -> Tensor:
    return torch.linalg.qr(random(size, size, seed=size))[0]


def dense(**options: Any) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Linear(4, 6, **options), nn.ReLU(), nn.Linear(6, 5, **options), nn.ReLU(), nn.Linear(5, 3, **options)]
    return moved_weights(nn.Sequential(*layers))  # type: ignore[return-value]


def linear_inside() -> nn.Sequential:
    torch.manual_seed(0)
    return moved_weights(  # type: ignore[return-value]
        nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    )


def convolutional() -> nn.Sequential:
    torch.manual_seed(0)
    first = (nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU(), nn.Flatten())
    return moved_weights(nn.Sequential(*first, nn.Linear(20, 3)))  # type: ignore[return-value]


INPUTS: dict[str, Tensor] = {"dense": random(24, 4), "convolutional": random(24, 1, 6, 6)}
MADE: dict[str, Callable[[], nn.Sequential]] = {"dense": dense, "convolutional": convolutional}
KINDS = (*MADE, "flattened", "residual", "encoder", "GRU", "grouped", "concatenated")
WITHOUT_UNIT_LINKS = (*MADE, "grouped", "GRU")
"""Networks in which every link has a weight: links of weight 1, as of skips, are not scaled with all parameters."""


def network(kind: str) -> tuple[nn.Module, Tensor]:
    if kind in MADE:
        return MADE[kind](), INPUTS[kind]
    module, example, _, _ = made(kind)
    return module, random(24, *example.shape[1:])


def table(
    measure: str,
    module: nn.Module,
    samples: Tensor,
    state: Mapping[str, Tensor] | None = None,
    training: TrainingState | None = None,
) -> Table:
    """The values of a measure, by group and statistic."""
    graph, spec = ax.capture(module, samples[:1]), ax.CATALOGUE[measure]
    graph = graph if state is None else graph.at(state)
    labels = torch.arange(len(samples)) % 3
    given = [(samples, labels)] if spec.needs_labels else samples if spec.needs_samples else None
    found: Table = defaultdict(list)
    for row in ax.measure(graph, [measure], samples=given, training=training).itertuples():
        found[row.group, row.statistic].append(float(row.value))
    return found


def assert_same(before: Table, after: Table, *, without: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> None:
    """All values are those of before, of some groups if any are named, and but for some statistics."""
    assert before.keys() == after.keys()
    kept = [key for key in before if key[1] not in without and (not groups or key[0] in groups)]
    assert kept
    for key in kept:
        np.testing.assert_allclose(sorted(after[key]), sorted(before[key]), rtol=1e-7, atol=1e-9, err_msg=str(key))


def assert_changed(before: Table, after: Table) -> None:
    """Something else does change: the change was one."""
    assert any(not np.allclose(sorted(after[key]), sorted(before[key]), rtol=1e-4) for key in before)


def floats(module: nn.Module) -> State:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def changed(state: State, change: Callable[[Tensor], Tensor]) -> State:
    """The parameters changed; running statistics and counters as they are."""
    kept = ("running_mean", "running_var", "num_batches_tracked")
    return {name: t if name.rpartition(".")[2] in kept else change(t) for name, t in state.items()}


def signs(tensor: Tensor) -> Tensor:
    return tensor * random(*tensor.shape, seed=tensor.numel()).sign()


def each(measure: str, kinds: tuple[str, ...], change: Callable[[Tensor], Tensor], **how: Any) -> None:
    for kind in kinds:
        module, samples = network(kind)
        before, after = (table(measure, module, samples, s) for s in (None, changed(floats(module), change)))
        assert_same(before, after, **how)
        assert_changed(
            table("link_weights", module, samples),
            table("link_weights", module, samples, changed(floats(module), change)),
        )


def weights_changed(
    measure: str, changes: Mapping[str, Tensor | float], *, net: nn.Module | None = None, **how: Any
) -> None:
    """Parameters of a dense network replaced, or scaled."""
    net = dense() if net is None else net
    state = floats(net)
    new = {name: by * state[name] if isinstance(by, float) else by for name, by in changes.items()}
    assert_same(table(measure, net, INPUTS["dense"]), table(measure, net, INPUTS["dense"], state | new), **how)


def sharing(measure: str) -> None:
    """A kernel counts once, on small images and on large ones."""
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).double()
    assert_same(table(measure, net, random(2, 1, 6, 6)), table(measure, net, random(2, 1, 9, 9)))


def constant_strengths(measure: str) -> None:
    state = floats(dense())
    weights_changed(measure, {"0.weight": state["0.weight"] + 0.7, "4.weight": state["4.weight"] - 0.3})


def turned(measure: str) -> None:
    """Both sides of the middle layer turned."""
    weight = floats(dense())["2.weight"]
    weights_changed(measure, {"2.weight": rotation(5) @ weight @ rotation(6)}, without=("channels",))


def one_map_more(measure: str) -> None:
    """What is added to all outputs alike is in no difference between them."""
    weights_changed(measure, {"4.weight": floats(dense())["4.weight"] + random(5)})


def order_of_samples(measure: str) -> None:
    for kind in ("dense", "convolutional", "encoder"):
        module, samples = network(kind)
        order = torch.randperm(24, generator=torch.Generator().manual_seed(1))
        graph, spec, labels = ax.capture(module, samples[:1]), ax.CATALOGUE[measure], torch.arange(24) % 3
        found = []
        for places in (torch.arange(24), order):
            given: Any = [(samples[places], labels[places])] if spec.needs_labels else samples[places]
            found.append(ax.measure(graph, [measure], samples=given)["value"].astype(float))
        assert len(found[0]) or measure == "attention_strength"
        np.testing.assert_allclose(found[1], found[0], rtol=1e-7, atol=1e-9)


def rising_map(measure: str) -> None:
    """Pre-activations of the first layer scaled, each by a factor of its own, and what reads them by its inverse."""
    state, factors = floats(dense()), random(6).exp()
    first = {"0.weight": state["0.weight"] * factors[:, None], "0.bias": state["0.bias"] * factors}
    weights_changed(measure, first | {"2.weight": state["2.weight"] / factors})


def rescaled_layers(measure: str, **how: Any) -> None:
    weights_changed(measure, {"0.weight": 3.0, "0.bias": 3.0, "2.weight": 1 / 3}, **how)


def scaled_loss(measure: str) -> None:
    """With parameters in other units all gradients are times three, as of three times the loss."""

    def loss_times(factor: float) -> nn.Module:
        net = Function(
            lambda m, x: F.linear(F.relu(F.linear(x, factor * m.a.weight)), factor * m.b.weight),
            a=nn.Linear(4, 6, bias=False),
            b=nn.Linear(6, 3, bias=False),
        ).double()
        with torch.no_grad():
            net.a.weight.copy_(random(6, 4) / factor)  # type: ignore[operator, union-attr]
            net.b.weight.copy_(random(3, 6) / factor)  # type: ignore[operator, union-attr]
        return net

    before, after = (table(measure, loss_times(factor), INPUTS["dense"]) for factor in (1.0, 3.0))
    assert np.isfinite(before["", "value"]).all()
    assert_same(before, after)


def update(measure: str, now: float, step: float) -> None:
    net = dense()
    state = {name: random(*t.shape, seed=len(name)) for name, t in floats(net).items()}
    moved = {name: random(*t.shape, seed=7) for name, t in state.items()}

    def measured(now: float, step: float) -> Table:
        before = {name: now * tensor for name, tensor in state.items()}
        after = {name: tensor + step * moved[name] for name, tensor in before.items()}
        return table(measure, net, INPUTS["dense"], after, TrainingState(before=before))

    assert_same(measured(1, 0.1), measured(now, 0.1 * step))


def one_sign(measure: str) -> None:
    weights_changed(measure, {"2.weight": -1.0})


def turned_features(measure: str, **how: Any) -> None:
    """Features of the input, and of a linear layer, turned and doubled; what reads them undoes it."""
    net, samples = linear_inside(), INPUTS["dense"]
    state, first, inner = floats(net), 2 * rotation(4), 2 * rotation(6)
    new = {
        "0.weight": inner @ state["0.weight"] @ first.T / 4,
        "0.bias": inner @ state["0.bias"],
        "1.weight": state["1.weight"] @ inner.T / 4,
    }
    before, after = table(measure, net, samples), table(measure, net, samples @ first.T, state | new)
    assert_same(before, after, **how)


PROMISES: dict[str, Callable[[str], None]] = {
    "how often a weight is shared": sharing,
    "adding a constant to their strengths": constant_strengths,
    "scaling all links": partial(each, kinds=WITHOUT_UNIT_LINKS, change=lambda t: 1.7 * t),
    "scaling all links, but for the eigenvalue": partial(
        each, kinds=WITHOUT_UNIT_LINKS, change=lambda t: 1.7 * t, without=("eigenvalue",)
    ),
    "scaling all links, but for efficiency": partial(
        each, kinds=WITHOUT_UNIT_LINKS, change=lambda t: 1.7 * t, without=("efficiency",)
    ),
    "the signs of weights": partial(each, kinds=KINDS, change=signs),
    "signs of weights": partial(each, kinds=KINDS, change=signs),
    "orthogonal maps of a linear layer's inputs or outputs, but for channels": turned,
    "adding one number to all outputs' maps": one_map_more,
    "the order of the samples": order_of_samples,
    "rising maps of a neuron's pre-activation": rising_map,
    "the network's function alone counts": rescaled_layers,
    "scaling a layer's weights where the function allows it": rescaled_layers,
    "scaled: scaling a ReLU layer up and the next one down": partial(rescaled_layers, without=("value",)),
    "scaling the loss": scaled_loss,
    "scaling weights and update together": partial(update, now=3, step=3),
    "scaling weights or update": partial(update, now=3, step=0.5),
    "scaling the weights of a layer": lambda measure: weights_changed(measure, {"2.weight": 3.0}),
    "scaling a unit's weights": lambda measure: weights_changed(
        measure, {"2.weight": floats(dense())["2.weight"] * random(5).exp()[:, None]}
    ),
    "the signs of all its weights together": one_sign,
    "rotations and one scale of the features, but for complexity": partial(turned_features, without=("complexity",)),
    "rotations and one scale of the features": turned_features,
}


def promises() -> list[tuple[str, str]]:
    """Measures, and what each promises beside exchanges."""
    found = [(name, part.strip()) for name, spec in ax.CATALOGUE.items() for part in spec.invariances.split(";")]
    return [(name, part) for name, part in found if not part.startswith(PERMUTING)]


@pytest.mark.parametrize(("measure", "promise"), promises())
def test_every_promise_is_kept(measure: str, promise: str) -> None:
    PROMISES[promise](measure)


def test_no_test_is_of_a_promise_that_none_makes() -> None:
    assert {promise for _, promise in promises()} == set(PROMISES)
