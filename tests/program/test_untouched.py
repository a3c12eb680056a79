"""The user's module, inputs and random state are left exactly as they were, in success and in failure."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from axonometry.program import capture

from .cases import SINGLE
from .oracles import Net


def facts(tensor: Tensor | None) -> tuple[Any, ...] | None:
    """What must stay the same of a tensor: the object, its values, its gradient, its flags, writes to it."""
    if tensor is None:
        return None
    values = tensor.detach().cpu().double().numpy().tobytes()
    return (
        id(tensor),
        values,
        tensor.requires_grad,
        tensor._version,
        tensor.is_leaf and facts(tensor.grad),
        tensor.stride(),
    )


def observe(module: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, Any]:
    """Everything about a module, its inputs and the process that a capture could change."""
    seen: dict[str, Any] = {
        "torch": torch.get_rng_state().numpy().tobytes(),
        # Python's own generator is left out: beartype, which checks types under test, draws from it.
        "numpy": repr(np.random.get_state()),
        "grad mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "default dtype": torch.get_default_dtype(),
        "inputs": [facts(x) for x in inputs],
        "class forward": type(module).forward,
    }
    for path, part in module.named_modules(remove_duplicate=False):
        for key, value in vars(part).items():
            place = f"{path}.{key}"
            if isinstance(value, Tensor):
                seen[place] = facts(value)
            elif isinstance(value, dict):
                seen[place] = [(k, facts(v) if isinstance(v, Tensor) else id(v)) for k, v in value.items()]
            else:
                seen[place] = (
                    id(value),
                    repr(value) if isinstance(value, (int, float, str, bool, list, set, tuple)) else "",
                )
        seen[f"{path} is a"] = type(part)
    return seen


def untouched(module: nn.Module, *inputs: Tensor, raises: str | None = None, **options: Any) -> None:
    """Capture, and compare everything that can be seen before and after."""
    before = observe(module, inputs)
    if raises is None:
        graph = capture(module, *inputs, **options)
        graph.products(graph.ones(), graph.ones())
        graph.abs().T @ graph.ones()
        graph.at(module.state_dict()) @ graph.ones()
        graph.biases()
    else:
        with pytest.raises(Exception, match=raises):
            capture(module, *inputs, **options)
    after = observe(module, inputs)
    assert before.keys() == after.keys()
    assert {key for key in before if before[key] != after[key]} == set()


def train_one_step(module: nn.Module, *inputs: Tensor) -> None:
    """A module in the middle of training: train mode, gradients on its parameters."""
    module.train()
    output = module(*inputs)
    output.square().sum().backward()


@pytest.mark.parametrize(
    "name", ["perceptron", "convolution", "residual", "called_twice", "tied_modules", "skip_in_place", "two_inputs"]
)
def test_a_module_in_training(name: str) -> None:
    toy = SINGLE[name]()
    inputs = tuple(torch.randn(4, *x.shape[1:], dtype=x.dtype) for x in toy.inputs)
    train_one_step(toy.module, *inputs)
    untouched(toy.module, *inputs)


def test_modes_that_differ_between_submodules() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2)
    )
    net.train()
    net[1].eval()
    net[4].train(mode=False)
    untouched(net, torch.randn(2, 1, 4, 4))
    assert [part.training for part in net] == [True, False, True, True, False, True]


def test_frozen_parameters_and_an_input_that_asks_for_a_gradient() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True), nn.Linear(3, 2))
    net[0].requires_grad_(False)
    untouched(net, torch.randn(2, 3, requires_grad=True))


def test_hooks() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))
    seen: list[str] = []
    net[0].register_forward_hook(lambda *_: seen.append("forward"))
    net.register_forward_pre_hook(lambda *_: seen.append("before"))
    net[2].register_full_backward_hook(lambda *_: seen.append("backward"))
    net.register_state_dict_post_hook(lambda *_: None)
    untouched(net, torch.randn(1, 3))


@pytest.mark.parametrize("training", [False, True])
def test_parametrised_and_pruned_layers(training: bool) -> None:
    net = nn.Sequential(
        parametrizations.weight_norm(nn.Linear(3, 4)),
        nn.ReLU(),
        parametrizations.spectral_norm(nn.Linear(4, 4)),
        nn.Linear(4, 2),
    )
    prune.random_unstructured(net[3], "weight", 0.5)
    train_one_step(net, torch.randn(2, 3))
    net.train(training)
    untouched(net, torch.randn(1, 3))


def test_pruned_layer_that_never_ran() -> None:
    net = nn.Sequential(nn.Linear(3, 4))
    prune.l1_unstructured(net[0], "weight", 0.5)
    untouched(net, torch.randn(1, 3))


class Counting(nn.Module):
    """Writes to itself in its forward pass: a number, a list and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.calls = 0
        self.seen: list[Tensor] = []
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.seen.append(x)
        self.steps.add_(1)
        return self.layer(x)


def test_a_module_that_writes_to_itself() -> None:
    untouched(Counting(), torch.randn(1, 3))


def branching(n: nn.Module, x: Tensor) -> Tensor:
    return n.layer(x) if x.sum() > 0 else x[:, :2]


def raising(n: nn.Module, x: Tensor) -> Tensor:
    raise KeyError(n.training)


def sorting(n: nn.Module, x: Tensor) -> Tensor:
    return torch.linalg.svdvals(n.layer(x)) @ torch.linalg.inv(torch.eye(2, dtype=x.dtype) * n.layer(x).sum())


@pytest.mark.parametrize(
    ("forward", "words"), [(branching, "depends on data"), (raising, "KeyError: False"), (sorting, "svdvals")]
)
def test_failure(forward: Callable[[nn.Module, Tensor], Tensor], words: str) -> None:
    net = Net(forward, layer=nn.Linear(3, 2), drop=nn.Dropout(), norm=nn.BatchNorm1d(2))
    net.train()
    net.norm.eval()
    net.layer.weight.grad = torch.ones_like(net.layer.weight)
    untouched(net, torch.randn(2, 3, dtype=torch.float64), raises=words)


def test_failure_of_a_wrong_option() -> None:
    untouched(nn.Sequential(nn.Linear(3, 2)), torch.randn(1, 3), raises="pooling", pooling="median")


def test_inside_no_grad_and_inference_mode() -> None:
    net = nn.Sequential(nn.Linear(3, 2))
    with torch.no_grad():
        untouched(net, torch.randn(1, 3))
    example = torch.zeros(1, 3)
    with torch.inference_mode():
        untouched(net, example)


def test_the_random_numbers_that_follow_are_the_same() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.Linear(3, 2)).train()
    torch.manual_seed(7)
    expected = torch.randn(4)
    torch.manual_seed(7)
    graph = capture(net, torch.zeros(1, 3))
    graph @ graph.ones()
    assert torch.equal(torch.randn(4), expected)


def test_training_goes_on_as_without_the_capture() -> None:
    def trained(observed: bool) -> Tensor:
        torch.manual_seed(3)
        net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.ReLU(), nn.Linear(8, 1))
        optimizer = torch.optim.Adam(net.parameters())
        for _ in range(3):
            if observed:
                graph = capture(net, torch.zeros(1, 3))
                graph.T @ graph.ones()
            optimizer.zero_grad()
            net(torch.randn(16, 3)).square().mean().backward()
            optimizer.step()
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    assert torch.equal(trained(observed=True), trained(observed=False))


def test_products_carry_no_gradient_and_share_no_memory_with_the_weights() -> None:
    net = nn.Sequential(nn.Linear(3, 2, bias=False))
    graph = capture(net, torch.zeros(1, 3))
    strength = graph.T @ graph.ones()
    assert not any(tensor.requires_grad for tensor in [*strength.values(), *(graph @ graph.ones()).values()])
    before = net[0].weight.detach().clone()
    for tensor in [*strength.values(), *graph.biases().values()]:
        tensor.zero_()
    assert torch.equal(net[0].weight, before)


def test_hooks_by_which_a_library_collects_results_are_part_of_the_network() -> None:
    class Backbone(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.o, self.kept = torch.nn.Linear(3, 4), torch.nn.Linear(4, 2), []

            def collect(_: object, __: object, result: torch.Tensor) -> None:
                self.kept.append(result)

            collect.__module__ = "transformers.utils.output_capturing"
            self.a.register_forward_hook(collect)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.kept.clear()
            self.a(x)
            return self.o(self.kept[0])

    network = Backbone()
    graph = capture(network, torch.zeros(1, 3))
    assert [(synapse.name, synapse.n_links) for synapse in graph.synapses] == [("a", 12), ("o", 8)]


class Experts(nn.Module):
    """As transformers' mixtures of experts: a loop over those that were chosen, or one product with chosen matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(_experts_implementation="eager")
        self.router, self.experts = nn.Linear(3, 2), nn.Parameter(torch.randn(2, 4, 3))

    def forward(self, x: Tensor) -> Tensor:
        best = self.router(x).argmax(-1)
        if self.config._experts_implementation == "batched_mm":
            return (self.experts[best] @ x[..., None])[..., 0]
        return torch.stack([self.experts[int(expert)] @ row for expert, row in zip(best, x, strict=True)])


def test_experts_are_exported_as_one_product_and_the_configuration_is_put_back() -> None:
    network = Experts()
    graph = capture(network, torch.randn(1, 3))
    assert network.config._experts_implementation == "eager"
    torch.testing.assert_close((graph @ graph.ones())["experts"][:, 0], network.experts.detach().mean(0).sum(1))
