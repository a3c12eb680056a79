"""The live reading: pre-activations and activations as hooks placed by hand on the real modules see them."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import axonometry as ax
from axonometry.errors import SamplesError, ValuesError
from axonometry.populations import CifarResNet, LeNet
from axonometry.program.readings.live import live_batches, refuse_nonfinite
from tests.program import networks, networks_more

FAMILIES = [
    kind
    for kind in [*vars(networks).values(), *vars(networks_more).values()]
    if isinstance(kind, type) and issubclass(kind, nn.Module) and hasattr(kind, "shape")
]


def read(graph: ax.NeuralGraph, samples: Any, **choices: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """All batches put together: fields and activations."""
    batches = list(live_batches(graph, samples, **choices))
    assert [batch.start for batch in batches] == [sum(b.size for b in batches[:i]) for i in range(len(batches))]
    names = batches[0].pre_activations
    return (
        {name: torch.cat([batch.pre_activations[name] for batch in batches]) for name in names},
        {name: torch.cat([batch.activations[name] for batch in batches]) for name in names},
    )


def hooked(module: nn.Module, samples: Tensor, wanted: Callable[[str, nn.Module], bool]) -> list[tuple[Tensor, Tensor]]:
    """Input and output of the modules that are wanted, in the order of their calls."""
    seen: list[tuple[Tensor, Tensor]] = []
    handles = [
        part.register_forward_hook(lambda _, given, result: seen.append((given[0].clone(), result.clone())))
        for name, part in module.named_modules()
        if wanted(name, part)
    ]
    with torch.no_grad():
        module(samples)
    for handle in handles:
        handle.remove()
    return seen


def statistics_at_random(module: nn.Module) -> nn.Module:
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
    return module.eval()


def test_lenet_as_hooks_see_it() -> None:
    network, samples = LeNet((1, 28, 28)).eval(), torch.randn(7, 1, 28, 28)
    fields, activations = read(ax.capture(network, samples), samples, batch_size=3)
    linear = hooked(network, samples, lambda _, part: isinstance(part, (nn.Conv2d, nn.Linear)))
    nonlinear = hooked(network, samples, lambda _, part: isinstance(part, nn.ReLU))
    assert list(fields) == ["input", "conv1", "conv2", "fc1", "fc2", "fc3"]
    assert torch.equal(fields["input"], samples)
    assert torch.equal(activations["input"], samples)
    for name, (_, expected) in zip(list(fields)[1:], linear, strict=True):
        torch.testing.assert_close(fields[name], expected)
    for name, (_, expected) in zip(list(fields)[1:-1], nonlinear, strict=True):
        torch.testing.assert_close(activations[name], expected)
    assert torch.equal(activations["fc3"], fields["fc3"])


def test_resnet_as_hooks_see_it() -> None:
    network, samples = statistics_at_random(CifarResNet(8, (3, 16, 16), width=0.5)), torch.randn(5, 3, 16, 16)
    fields, activations = read(ax.capture(network, samples), samples, batch_size=2)
    seen = hooked(network, samples, lambda name, part: name.endswith("act"))
    hidden = list(fields)[1:-1]
    assert len(hidden) == len(seen) == 7
    for name, (field, activation) in zip(hidden, seen, strict=True):
        torch.testing.assert_close(fields[name], field, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(activations[name], activation, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(fields["fc"], network(samples).detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda kind: kind.__name__)
def test_the_outputs_are_the_modules_own(family: Any) -> None:
    network = statistics_at_random(family(networks.REAL)).double()
    samples = torch.randn(4, *family.shape).double()
    graph = ax.capture(network, samples)
    (output,) = [group.name for group in graph.groups if group.role == "output"]
    fields, activations = read(graph, samples)
    expected = network(samples).detach()
    torch.testing.assert_close(activations[output].reshape(expected.shape), expected)
    for group in graph.groups:
        assert fields[group.name].shape == activations[group.name].shape == (4, *group.shape)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100, None])
def test_the_size_of_batches_changes_nothing(batch_size: int | None) -> None:
    network, samples = LeNet((1, 28, 28)).double().eval(), torch.randn(7, 1, 28, 28).double()
    graph = ax.capture(network, samples)
    expected, found = read(graph, samples, batch_size=7), read(graph, samples, batch_size=batch_size)
    for a, b in zip(expected, found, strict=True):
        for name in a:
            torch.testing.assert_close(a[name], b[name])


def test_activations_of_one_group_are_those_of_the_last_nonlinearity() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(torch.tanh(F.relu(self.first(x))))

    network, samples = Twice(), torch.randn(6, 3)
    _, activations = read(ax.capture(network, samples), samples)
    torch.testing.assert_close(activations["first"], torch.tanh(F.relu(network.first(samples))).detach())


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Linear(3, 4), nn.Linear(2, 4), nn.Linear(4, 2)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.head(torch.relu(self.a(left) + self.b(right)))


def test_several_inputs_in_every_form() -> None:
    network, left, right = TwoInputs(), torch.randn(5, 3), torch.randn(5, 2)
    graph = ax.capture(network, left, right)
    expected = network(left, right).detach()
    output = graph.groups[-1].name
    loader = DataLoader(TensorDataset(left, right, torch.arange(5)), batch_size=2)
    for samples in ((left, right), [left, right], {"right": right, "left": left}, loader, iter([(left, right)])):
        fields, _ = read(graph, samples)
        torch.testing.assert_close(fields[output], expected)
        assert torch.equal(fields["right"], right)


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 2)

    def forward(self, batch: dict[str, Tensor], state: Any, flag: bool = True, *, extra: Tensor) -> Tensor:
        first, (second, third) = state
        return self.head(batch["x"] + 2 * batch["y"] + 3 * first + 4 * second + 5 * third + 6 * extra)


class OneDict(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 2)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return self.head(batch["x"] - batch["y"])


def test_samples_are_nested_as_the_example_was() -> None:
    network, (x, y, a, b, c, d) = Nested(), torch.randn(6, 5, 3)
    one = torch.zeros(1, 3)
    graph = ax.capture(network, {"x": one, "y": one}, (one, (one, one)), extra=one)
    expected = network({"x": x, "y": y}, (a, (b, c)), extra=d).detach()
    batch, state = {"y": y, "x": x}, (a, (b, c))
    flat = {"batch_x": x, "batch_y": y, "state_0": a, "state_1_0": b, "state_1_1": c, "extra": d}
    named = {"state": [a, [b, c]], "extra": d, "batch": batch}
    for samples in ((batch, state, d), flat, named, [(batch, state, d, torch.arange(5))], iter([named])):
        fields, _ = read(graph, samples, batch_size=2)
        torch.testing.assert_close(fields["head"], expected)
    for wrong in ((batch, d, state), (batch, state), (batch, state, d, d), {"batch": batch}, (x, y), x):
        with pytest.raises(SamplesError, match=r"nested as the example.*Pass batch\['x'\], .*state\[1\]\[1\], extra"):
            read(graph, wrong)


def test_a_module_of_one_dict() -> None:
    network, x, y = OneDict(), torch.randn(5, 3), torch.randn(5, 3)
    graph = ax.capture(network, {"x": x[:1], "y": y[:1]})
    for samples in (
        {"x": x, "y": y},
        ({"x": x, "y": y},),
        {"batch": {"x": x, "y": y}},
        {"batch_x": x, "batch_y": y},
        DataLoader([{"x": one, "y": other, "label": 1} for one, other in zip(x, y, strict=True)], batch_size=2),
        [({"x": x, "y": y}, torch.arange(5))],
    ):
        torch.testing.assert_close(read(graph, samples)[0]["head"], network({"x": x, "y": y}).detach())
    for wrong in ({"x": x}, {"x": x, "y": y, "z": x}, {"x": x, "y": [1]}, (x, y)):
        with pytest.raises(SamplesError, match=r"nested as the example.*Pass batch\['x'\], batch\['y'\]"):
            read(graph, wrong)


def test_a_module_of_a_tuple_in_a_tuple() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, 2)

        def forward(self, pair: Any) -> Tensor:
            return self.head(pair[0] - pair[1])

    network, x, y = Pair(), torch.randn(5, 3), torch.randn(5, 3)
    graph = ax.capture(network, (x[:1], y[:1]))
    for samples in ((x, y), ((x, y),), {"pair": (x, y)}, [(x, y)], [((x, y), torch.arange(5))]):
        torch.testing.assert_close(read(graph, samples)[0]["head"], network((x, y)).detach())


def test_a_stream_is_read_as_one_tensor_is() -> None:
    network, samples = LeNet((1, 28, 28)).eval(), torch.randn(11, 1, 28, 28)
    graph = ax.capture(network, samples)
    loader = DataLoader(TensorDataset(samples, torch.zeros(11)), batch_size=4)
    whole, streamed = read(graph, samples), read(graph, loader, batch_size=3)
    for name in whole[0]:
        torch.testing.assert_close(whole[0][name], streamed[0][name])
    for name in whole[0]:
        torch.testing.assert_close(whole[0][name], read(graph, list(samples.split(5)))[0][name])


def test_the_samples_of_one_batch_do_not_see_each_other() -> None:
    network, samples = LeNet((1, 28, 28)).eval(), torch.randn(6, 1, 28, 28)
    graph = ax.capture(network, samples)
    changed = samples.clone()
    changed[3] = torch.nan
    before, after = read(graph, samples, batch_size=6), read(graph, changed, batch_size=6)
    for a, b in zip(before, after, strict=True):
        for name in a:
            keep = [0, 1, 2, 4, 5]
            assert torch.equal(a[name][keep], b[name][keep])
            assert not b[name][3].isfinite().any()


def test_a_mask_shared_by_all_samples() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor, gain: Tensor) -> Tensor:
            return self.b(self.a(x) + gain.sum(0))

    network, x, gain = Masked(), torch.randn(4, 3), torch.randn(3, 4)
    graph = ax.capture(network, x[:1], gain)
    fields, _ = read(graph, (x, gain), batch_size=3)
    torch.testing.assert_close(fields["b"], network(x, gain).detach())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_the_networks_own(dtype: torch.dtype) -> None:
    network = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 2)).to(dtype)
    samples = torch.randn(9, 5).to(dtype)
    fields, activations = read(ax.capture(network, samples), samples)
    assert fields["0"].dtype == dtype
    assert torch.equal(activations["0"], F.relu(fields["0"]))
    torch.testing.assert_close(fields["2"], network(samples).detach(), rtol=2e-2, atol=2e-2)


def test_the_module_is_untouched() -> None:
    network, samples = LeNet((1, 28, 28), dropout=0.5).train(), torch.randn(3, 1, 28, 28, requires_grad=True)
    graph = ax.capture(network, samples)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    fields, _ = read(graph, samples)
    assert torch.equal(state, torch.get_rng_state())
    assert network.training
    assert samples.grad is None
    assert all(p.grad is None for p in network.parameters())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not any(field.requires_grad for field in fields.values())
    torch.testing.assert_close(fields["fc3"], network.eval()(samples).detach())


def test_only_the_wanted_groups_are_computed() -> None:
    network, samples = LeNet((1, 28, 28)), torch.randn(3, 1, 28, 28)
    graph = ax.capture(network, samples)
    (batch,) = live_batches(graph, samples, groups=["conv1", "input"])
    assert set(batch.pre_activations) == set(batch.activations) == {"input", "conv1"}
    with pytest.raises(ValuesError, match="'conv9'"):
        next(live_batches(graph, samples, groups=["conv9"]))


def test_the_weights_are_the_graphs() -> None:
    network, samples = nn.Sequential(nn.Linear(2, 2)), torch.randn(3, 2)
    graph = ax.capture(network, samples)
    other = nn.Sequential(nn.Linear(2, 2))
    torch.testing.assert_close(read(graph.at(other.state_dict()), samples)[0]["0"], other(samples).detach())
    with torch.no_grad():
        network[0].weight.mul_(2)
    torch.testing.assert_close(read(graph, samples)[0]["0"], network(samples).detach())


def test_memory_does_not_grow_with_the_samples() -> None:
    graph = ax.capture(LeNet((1, 28, 28)), torch.zeros(1, 1, 28, 28))
    per_sample = 4 * (784 + 2 * 3456 + 864 + 2 * 1024 + 256 + 2 * 204 + 10)

    def alive() -> int:
        gc.collect()
        tensors = [t for t in gc.get_objects() if type(t) in (Tensor, nn.Parameter)]
        return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())

    before, peaks = alive(), []
    for batch in live_batches(graph, (torch.zeros(8, 1, 28, 28) for _ in range(6))):
        peaks.append(alive() - before)
        assert batch.size == 8
    assert max(peaks) <= 8 * per_sample * 2  # the batch at hand and the one before it
    assert max(peaks[2:]) <= max(peaks[:2])


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (torch.zeros(2, 1, 28, 28).double(), r"captured type torch.float32; got torch.float64.*to\(torch.float32\)"),
        (torch.zeros(1, 28, 28), r"shape \(n, 1, 28, 28\); got \(1, 28, 28\)"),
        (torch.zeros(2, 3, 28, 28), r"shape \(n, 1, 28, 28\); got \(2, 3, 28, 28\)"),
        (torch.zeros(0, 1, 28, 28), "needs samples"),
        ([], "needs samples"),
        ((torch.zeros(2, 1, 28, 28), torch.zeros(2)), r"takes 1 tensors \(input\); got 2"),
        ([()], "takes 1 tensors .*; got 0"),
        ({"x": torch.zeros(2, 1, 28, 28)}, "names the module's inputs; got 'x'. They are: input"),
        (3, "iterable of batches; got int"),
        ([["a"]], "samples are tensors; got str"),
    ],
)
def test_samples_that_do_not_fit(samples: Any, message: str) -> None:
    graph = ax.capture(LeNet((1, 28, 28)), torch.zeros(1, 1, 28, 28))
    with pytest.raises(SamplesError, match=message):
        list(live_batches(graph, samples))


def test_choices_that_do_not_fit() -> None:
    graph, samples = ax.capture(nn.Sequential(nn.Linear(2, 2)), torch.zeros(1, 2)), torch.zeros(3, 2)
    with pytest.raises(SamplesError, match="at least one sample; got 0"):
        next(live_batches(graph, samples, batch_size=0))
    with pytest.raises(ValuesError, match=r"mapped weights"):
        next(live_batches(graph.abs(), samples))
    two = ax.capture(TwoInputs(), torch.zeros(1, 3), torch.zeros(1, 2))
    with pytest.raises(SamplesError, match="same number of samples; got 4 and 5"):
        next(live_batches(two, (torch.zeros(4, 3), torch.zeros(5, 2))))


def test_a_sample_that_is_not_finite_is_named() -> None:
    network, samples = LeNet((1, 28, 28)).eval(), torch.randn(9, 1, 28, 28)
    graph = ax.capture(network, samples)
    samples[6, 0, 3, 3] = torch.nan
    first, second, third = live_batches(graph, samples, batch_size=4)
    refuse_nonfinite(first)
    refuse_nonfinite(third)
    with pytest.raises(SamplesError, match=r"sample 6, .* first in layer 'input', at 1 of 784"):
        refuse_nonfinite(second)


def test_the_layer_where_numbers_first_run_over_is_named() -> None:
    class Exponent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.third(self.second(torch.exp(self.first(x))))

    network = Exponent()
    nn.init.ones_(network.first.weight)
    graph = ax.capture(network, torch.zeros(1, 1))
    (batch,) = live_batches(graph, torch.tensor([[1.0], [2.0], [200.0], [300.0]]))
    with pytest.raises(SamplesError, match="sample 2, whose activation is NaN or infinite first in layer 'first'"):
        refuse_nonfinite(batch)


def encoder(**choices: Any) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, **choices)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).train()  # the training path calls the layers


def test_transformer_encoder_as_hooks_see_it(capfd: pytest.CaptureFixture[str]) -> None:
    network, samples = encoder(activation="gelu"), torch.randn(6, 4, 8)
    fields, activations = read(ax.capture(network, samples), samples, batch_size=4)
    first = hooked(network, samples, lambda name, _: name.endswith("linear1"))
    second = hooked(network, samples, lambda name, _: name.endswith(("linear2", "norm2")))
    for layer in range(2):
        torch.testing.assert_close(fields[f"layers.{layer}.linear1"], first[layer][1])
        torch.testing.assert_close(activations[f"layers.{layer}.linear1"], F.gelu(first[layer][1]))
        torch.testing.assert_close(fields[f"layers.{layer}.linear2"], second[2 * layer + 1][0])  # with the skip
    assert "performance drop" not in capfd.readouterr().err  # no sample is run by itself


@pytest.mark.parametrize("batch_size", [1, 2, 6])
def test_padded_sequences_of_one_batch(batch_size: int) -> None:
    network, samples = encoder(), torch.randn(6, 4, 8)
    lengths = torch.tensor([4, 2, 1, 3, 4, 2])
    padding = torch.arange(4) >= lengths[:, None]
    graph = ax.capture(network, samples, src_key_padding_mask=padding)
    fields, _ = read(graph, {"src": samples, "src_key_padding_mask": padding}, batch_size=batch_size)
    (last,) = [group.name for group in graph.groups if group.role == "output"]
    for place, length in enumerate(lengths.tolist()):  # as if the sequence were alone, without its padding
        alone = hooked(network, samples[place : place + 1, :length], lambda name, _: name == "layers.1.norm2")
        torch.testing.assert_close(fields[last][place, :length], alone[0][0][0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("batch_first", [True, False])
def test_recurrent_networks(kind: Any, batch_first: bool) -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = kind(3, 4, num_layers=2, batch_first=batch_first), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.body(x)[0])

    network, axis = Network(), 0 if batch_first else 1
    samples = torch.randn(6, 5, 3).transpose(0, axis)
    fields, activations = read(ax.capture(network, samples, batch_axis=axis), samples, batch_size=4)
    expected = network(samples).detach().transpose(0, axis)
    torch.testing.assert_close(fields["head"], expected)
    if kind is nn.RNN:
        torch.testing.assert_close(activations["body.l0"], torch.tanh(fields["body.l0"]))
        torch.testing.assert_close(activations["body.l1"], network.body(samples)[0].detach().transpose(0, axis))


def test_token_ids_have_no_pre_activation() -> None:
    network, tokens = nn.Sequential(nn.Embedding(11, 4), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)), torch.arange(6)
    tokens = tokens.reshape(2, 3)
    graph = ax.capture(network, tokens)
    fields, _ = read(graph, tokens)
    assert set(fields) == {group.name for group in graph.groups} - {"input"}
    torch.testing.assert_close(fields["0"], network[0](tokens).detach())
    torch.testing.assert_close(fields["3"], network(tokens).detach())


def test_an_activation_behind_a_permutation_keeps_its_neurons() -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 4), nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(torch.relu(self.first(x).transpose(1, 2)))

    network, samples = Turned(), torch.randn(6, 5, 3)
    fields, activations = read(ax.capture(network, samples), samples)
    torch.testing.assert_close(activations["first"], torch.relu(fields["first"]))
    assert bool((activations["first"] != fields["first"]).any())


def test_values_of_further_calls() -> None:
    network, samples = LeNet((1, 28, 28)).eval(), torch.randn(5, 1, 28, 28)
    graph = ax.capture(network, samples)
    (pool, *_) = [node for node in graph.program.graph.nodes if "max_pool2d" in str(node.target)]
    (batch,) = live_batches(graph, samples, groups=["input"], nodes=[pool])
    torch.testing.assert_close(batch.values[pool].squeeze(1), network.pool1(F.relu(network.conv1(samples))).detach())
