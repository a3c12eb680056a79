"""Mistakes at the entry: what is meant is taken where it is clear, and said in one line where it is not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import axonometry as ax
from axonometry.errors import AxonometryError, CaptureError, SamplesError, ValuesError, WeightsError
from axonometry.metrics.basins import sample_radii, weight_plane

X = torch.zeros(1, 3)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, input_ids: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.layer(input_ids)


class Holding(nn.Module):
    """Submodules that are called what torch's own graphs have as attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.code, self.graph, self.meta = nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 3)), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.meta(self.graph(self.code(x).relu()).relu())


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(network())


def quantised() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(network(), {nn.Linear})


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (lambda: "gpt2", r"a torch.nn.Module; got the text 'gpt2'. Load the model first"),
        (lambda: Named, r"got the class Named. Make one: Named\(...\)"),
        (lambda: len, r"got a builtin_function_or_method. Wrap it in a module"),
        (lambda: network().state_dict(), r"got a OrderedDict, such as a state dict"),
        (lambda: ax.capture(network(), X), r"got a NeuralGraph. Pass the module"),
        (lambda: torch.export.export(network(), (X,)), r"got an ExportedProgram. Pass it to axonometry.program.read"),
        (scripted, r"of a module of Python; got a RecursiveScriptModule. Pass the module that was scripted"),
        (lambda: nn.Sequential(nn.Linear(3, 3), scripted()), r"RecursiveScriptModule at '1'"),
        (quantised, r"got a quantised Linear at '0'. Pass the module before quantize_dynamic"),
        (lambda: nn.Linear(3, 2, device="meta"), r"reads the weights' values; got 'weight' on the meta device"),
    ],
)
def test_what_is_no_module_that_can_be_read(module: Callable[[], Any], message: str) -> None:
    with pytest.raises(CaptureError, match=message):
        ax.capture(module(), X)


def test_a_dictionary_of_the_forward_s_arguments_is_passed_by_name() -> None:
    with pytest.raises(CaptureError, match=r"Pass it by name: ax.capture\(module, \*\*inputs\)"):
        ax.capture(Named(), {"input_ids": X})
    assert ax.capture(Named(), input_ids=X).n_links == 6


@pytest.mark.parametrize("example", [torch.zeros(0, 3), torch.zeros(2, 0), np.zeros((0, 3))])
def test_an_empty_example(example: Any) -> None:
    with pytest.raises(CaptureError, match="an example has at least one sample; got shape"):
        ax.capture(network(), example)


def test_an_example_without_values() -> None:
    with pytest.raises(CaptureError, match="an example has values; got a tensor on the meta device"):
        ax.capture(network(), torch.zeros(1, 3, device="meta"))


@pytest.mark.parametrize(
    "example", [np.zeros((2, 3)), np.zeros((2, 3), np.float32), [[0.0, 0.0, 0.0]], np.zeros((2, 3), np.float16)]
)
def test_arrays_and_lists_are_examples(example: Any) -> None:
    assert ax.capture(network(), example).n_links == 20
    assert ax.capture(network().double(), example).dtype == torch.double


def test_token_ids_in_lists_are_examples() -> None:
    net = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 2))
    for example in ([[1, 2, 3]], np.array([[1, 2, 3]])):
        assert ax.capture(net, example).groups[0].shape == (3, 7)


def test_samples_are_arrays_lists_and_batches_of_them() -> None:
    graph, samples = ax.capture(network(), X), torch.rand(6, 3)
    expected = ax.neuron_activation(graph, samples)
    for given in (samples.numpy(), samples.double().numpy(), samples.tolist(), [x.numpy() for x in samples.split(2)]):
        torch.testing.assert_close(dict(ax.neuron_activation(graph, given).mean), dict(expected.mean))
    with pytest.raises(SamplesError, match="samples are tensors; got str"):
        ax.neuron_activation(graph, "samples")


def test_basins_take_loaders_and_arrays() -> None:
    samples, labels = torch.rand(9, 3), torch.randint(0, 2, (9,))
    loader = DataLoader(TensorDataset(samples, labels), batch_size=4)
    measures: list[Callable[..., Any]] = [
        lambda *given: ax.sample_basin(network(), *given, threshold=0.8, draws=2).network,
        lambda *given: ax.weight_basin(network(), *given, threshold=0.8, draws=2).network,
        lambda *given: ax.sharpness(network(), *given).value,
        lambda *given: sample_radii(network(), *given, directions=2).radii.tolist(),
    ]
    for measure in measures:
        expected = measure(samples, labels)
        for given in ((loader,), (samples.numpy(), labels.numpy()), (samples.tolist(), labels.tolist())):
            assert measure(*given) == expected
    states = [{n: t * f for n, t in network().state_dict().items()} for f in (1.0, 2.0, -1.0)]
    states[1]["0.weight"] = states[1]["0.weight"] + 1
    plane = weight_plane(network(), states, loader, resolution=2)
    assert torch.equal(plane.accuracy, weight_plane(network(), states, samples, labels, resolution=2).accuracy)
    with pytest.raises(SamplesError, match="sample_basin is of a module; got a NeuralGraph"):
        ax.sample_basin(ax.capture(network(), X), samples, labels)
    with pytest.raises(SamplesError, match="samples without labels are batches of inputs and labels; got a int"):
        ax.sample_basin(network(), 3)
    with pytest.raises(SamplesError, match="samples and labels are tensors; got a Tensor and a NoneType"):
        ax.sample_basin(network(), samples)


OF_A_GRAPH = [
    *"align attention_strength degree_assortativity disparity eigenvector_centrality hubs_and_authorities".split(),
    *"katz_centrality layer_fluctuation linear_map_spectrum linear_truncation link_weights measure".split(),
    *"neuron_activation neuron_modes neuron_strength node_strength pagerank parameter_graph permutations".split(),
    *"rank_distribution spectral_norms weighted_degree".split(),
]


@pytest.mark.parametrize("name", OF_A_GRAPH)
def test_a_module_is_no_graph(name: str) -> None:
    others = ((None, "a NoneType"), ([1.0], "a list"), ({"w": torch.ones(1)}, "a dict"), (torch.ones(2), "a Tensor"))
    for given, came in ((network(), "a Sequential"), ("gpt2", "the text 'gpt2'"), *others):
        with pytest.raises(ValuesError, match=f"{name} is of a captured graph; got {came}. Capture the module first"):
            getattr(ax, name)(given)


def test_one_measure_is_asked_for_by_its_name() -> None:
    graph = ax.capture(network(), X)
    assert ax.measure(graph, "layer_fluctuation").equals(ax.measure(graph, ["layer_fluctuation"]))


@pytest.mark.parametrize("state", [None, network(), "weights.pt", [torch.zeros(1)]])
def test_a_snapshot_is_a_mapping(state: Any) -> None:
    with pytest.raises(AxonometryError, match="a snapshot is a mapping from names to tensors; got a") as caught:
        ax.capture(network(), X).at(state)
    assert isinstance(caught.value, WeightsError)


def test_submodules_may_have_any_name() -> None:
    graph = ax.capture(Holding(), X)
    assert [group.name for group in graph.groups] == ["input", "code", "graph.0", "meta"]
