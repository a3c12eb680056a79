"""What cannot be read ends in one error that names the operation, the place in the user's module, and the remedy."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import Tensor, nn

from axonometry.errors import (
    AxonometryError,
    CaptureError,
    TooLargeError,
    UnknownOperationError,
    ValuesError,
    WeightsError,
)
from axonometry.program import NeuralGraph, capture
from axonometry.values import NodeValues

from .cases import SINGLE
from .oracles import Net


class Inner(nn.Module):
    """The part of a user's network in which the trouble is."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.layer, self.kind = nn.Linear(3, 3), kind

    def forward(self, x: Tensor) -> Tensor:
        h = self.layer(x)
        if self.kind == "unknown":
            return torch.linalg.svdvals(h[:, None])  # the line that the error has to name
        if self.kind == "branch":
            return h if h.sum() > 0 else -h
        if self.kind == "item":
            return h * float(h.max())
        if self.kind == "loop":
            while h.norm() > 1:
                h = h / 2
            return h
        if self.kind == "nonzero":
            return h[h > 0]
        if self.kind == "bug":
            return h.reshape(7, 11)
        return h


class Own(nn.Module):
    """Its own parameter, and the trouble: no submodule."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.linalg.svdvals((x @ self.weight)[:, None])


class Outer(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.stem, self.blocks = nn.Linear(3, 3), nn.ModuleList([nn.Identity(), Inner(kind)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return x


def test_an_operation_without_a_rule_is_named_with_its_place_and_remedy() -> None:
    with pytest.raises(UnknownOperationError, match=r"svdvals") as caught:
        capture(Outer("unknown"), torch.randn(1, 3))
    message = str(caught.value)
    assert "blocks.1" in message
    assert "test_errors.py" in message
    assert "torch.linalg.svdvals(h[:, None])" in message
    assert "rule" in caught.value.remedy
    assert "submodule" in caught.value.remedy
    assert "\n" not in message


def test_submodules_are_no_remedy_where_there_are_none_around() -> None:
    """A layer beside the operation can be captured; of a module that makes every call itself, nothing is left."""
    for network in (Inner("unknown"), nn.Sequential(nn.Identity(), nn.Sequential(Own()))):
        with pytest.raises(UnknownOperationError, match=r"svdvals") as caught:
            capture(network, torch.randn(1, 3))
        alone = not isinstance(network, Inner)
        assert ("submodule" not in caught.value.remedy) == alone
        assert "Register a rule with axonometry.rule" in caught.value.remedy


@pytest.mark.parametrize("kind", ["branch", "loop", "item"])
def test_control_flow_that_depends_on_data(kind: str) -> None:
    with pytest.raises(CaptureError, match="depend") as caught:
        capture(Outer(kind), torch.randn(1, 3))
    message = str(caught.value)
    assert "test_errors.py" in message
    assert any(remedy in caught.value.remedy for remedy in ("torch.cond", "submodule"))
    assert len(message) < 600, "one error, not the exporter's pages"


@pytest.mark.parametrize(
    ("kind", "words"),
    [("nonzero", "its indices or values depend on the input"), ("bug", "invalid for input of size 3")],
)
def test_what_else_fails_is_a_capture_error(kind: str, words: str) -> None:
    with pytest.raises(CaptureError, match=words):
        capture(Outer(kind), torch.randn(1, 3))


def test_the_example_does_not_fit_the_module() -> None:
    with pytest.raises(CaptureError, match="4") as caught:
        capture(nn.Sequential(nn.Linear(3, 2)), torch.randn(1, 4))
    assert isinstance(caught.value.__cause__, Exception)


@pytest.mark.parametrize(
    ("examples", "words"),
    [((), "capture needs example inputs; got none"), ((torch.randn(1, 3), torch.randn(1, 3)), "too many positional")],
    ids=["few", "many"],
)
def test_too_few_and_too_many_examples(examples: tuple[Tensor, ...], words: str) -> None:
    with pytest.raises(CaptureError, match=words):
        capture(nn.Sequential(nn.Linear(3, 2)), *examples)


def test_something_that_is_no_module() -> None:
    with pytest.raises(Exception, match=r"[Mm]odule"):
        capture(lambda x: x, torch.randn(1, 3))  # type: ignore[arg-type]


def test_pooling_has_two_readings() -> None:
    with pytest.raises(Exception, match=r"pooling"):
        capture(nn.Sequential(nn.Linear(3, 2)), torch.randn(1, 3), pooling="median")  # type: ignore[arg-type]


def test_an_error_survives_the_way_between_processes() -> None:
    with pytest.raises(AxonometryError, match="svdvals") as caught:
        capture(Outer("unknown"), torch.randn(1, 3))
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert type(again) is type(caught.value)


# ------------------------------------------------------------------------------------------------ products


@pytest.fixture
def graph() -> NeuralGraph:
    toy = SINGLE["residual"]()
    return capture(toy.module, *toy.inputs)


@pytest.mark.parametrize("side", ["graph", "transposed", "left of products", "right of products"])
def test_wrong_values(graph: NeuralGraph, side: str) -> None:
    def multiply(values: object) -> object:
        if side == "graph":
            return graph @ values
        if side == "transposed":
            return graph.T @ values
        pair = (values, graph.ones()) if side.startswith("left") else (graph.ones(), values)
        return graph.products(*pair)

    ones = dict(graph.ones())
    with pytest.raises(ValuesError, match="'head'"):
        multiply(NodeValues({name: ones[name] for name in ones if name != "head"}))
    with pytest.raises(ValuesError, match="'body'"):
        multiply(NodeValues({**ones, "body": torch.ones(2)}))
    with pytest.raises(ValuesError, match=r"\(3,\).*\(1, 3\)"):
        multiply(NodeValues({**ones, "first": torch.ones(1, 3)}))
    with pytest.raises(ValuesError, match=r"\(2,\).*\(\)"):
        multiply(NodeValues({**ones, "head": torch.ones(())}))


@pytest.mark.parametrize("wrong", [2.0, torch.ones(11), None, [1.0]])
def test_something_that_is_no_values(graph: NeuralGraph, wrong: object) -> None:
    with pytest.raises(Exception, match=r"(?i)mapping|values"):
        graph @ wrong
    with pytest.raises(Exception, match=r"(?i)mapping|values"):
        graph.T @ wrong


def test_an_unknown_synapse(graph: NeuralGraph) -> None:
    with pytest.raises(ValuesError, match=r"'third'.*first, second, head"):
        graph.kernel("third")


# ------------------------------------------------------------------------------------------------ snapshots


def test_a_snapshot_of_another_network(graph: NeuralGraph) -> None:
    state = SINGLE["residual"]().module.state_dict()
    with pytest.raises(WeightsError, match=r"second\.weight"):
        graph.at({key: value for key, value in state.items() if key != "second.weight"})
    with pytest.raises(WeightsError, match=r"first\.bias.*\(3,\).*\(4,\)"):
        graph.at({**state, "first.bias": torch.zeros(4)})
    with pytest.raises(WeightsError, match=r"head\.weight.*\(2, 3\).*\(3, 2\)"):
        graph.at({**state, "head.weight": torch.zeros(3, 2)})
    with pytest.raises(WeightsError, match=r"holds every parameter and buffer of the network; got none called"):
        graph.at({})


def test_a_snapshot_with_more_than_the_network_reads(graph: NeuralGraph) -> None:
    """Weights of a part that the captured submodule is not made of do no harm."""
    state = {**SINGLE["residual"]().module.state_dict(), "auxiliary.weight": torch.zeros(5)}
    assert torch.equal((graph.at(state) @ graph.ones()).flatten(), (graph @ graph.ones()).flatten())


# ------------------------------------------------------------------------------------------------ size


def test_a_huge_matrix_is_refused_with_its_size() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 224 * 224, 2000, device="meta"))
    net = net.to_empty(device="cpu")
    with torch.no_grad():
        net[1].weight.fill_(0.01)
    graph = capture(net, torch.zeros(1, 3, 224, 224))
    assert graph.n_links == 301_056_000
    with pytest.raises(TooLargeError, match=r"301,056,000") as caught:
        graph.to_scipy()
    assert "GiB" in str(caught.value)
    assert "graph @ x" in caught.value.remedy
    with pytest.raises(TooLargeError, match=r"301,056,000"):
        graph.to_networkx()


def test_many_small_blocks_are_refused_too() -> None:
    """Not the links but the dense blocks on the way to them would not fit."""
    graph = capture(nn.Sequential(nn.Conv2d(1, 8, 3, padding=1)), torch.zeros(1, 1, 224, 224))
    with pytest.raises(TooLargeError, match="GiB"):
        graph.to_scipy()


@pytest.mark.parametrize("net", [nn.Flatten(), nn.ReLU(), nn.MaxPool1d(2)])
def test_a_module_without_a_synapse(net: nn.Module) -> None:
    """No empty result is ever returned."""
    with pytest.raises(CaptureError, match="linear"):
        capture(net, torch.randn(1, 2, 4))


def test_a_synapse_whose_result_nobody_reads_is_told() -> None:
    net = Net(lambda n, x: n.used(x), used=nn.Linear(3, 2), spare=nn.Linear(3, 2))
    graph = capture(net, torch.zeros(1, 3, dtype=torch.float64))
    claims = {claim.parameter: claim for claim in graph.coverage}
    assert claims["used.weight"].role == "synapse"
    assert claims["spare.weight"].role == "unclaimed"
    assert claims["spare.weight"].reason
    assert [group.name for group in graph.groups] == ["input", "used"]


class Several(nn.Module):
    """Networks that people capture with their loss, or with a batch in mind."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.a, self.centres, self.kind = nn.Linear(3, 4), nn.Parameter(torch.randn(2, 4)), kind

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        h = self.a(x)
        if self.kind == "two":
            assert len(h) > 1, "needs two"
        if self.kind == "masked":
            h = h.clone()
            h[:, torch.tensor([True, False, True, False])] = self.centres[0, :2]
            return h @ self.centres.T
        distances = (h[:, None] - self.centres).square().sum(-1).min(-1).values.mean()
        return distances if self.kind == "loss" else (h, distances)


def test_a_network_of_a_loss_alone() -> None:
    with pytest.raises(CaptureError, match=r"one number for the whole batch as the only result.*Return what it is"):
        capture(Several("loss"), torch.rand(4, 3))


def test_a_parameter_that_only_a_loss_reads() -> None:
    (claim,) = [claim for claim in capture(Several("both"), torch.rand(1, 3)).coverage if claim.role == "unclaimed"]
    assert (claim.parameter, claim.reason[:39]) == ("centres", "a result of one number alone reads it, ")


def test_a_batch_that_runs_where_one_sample_does_not() -> None:
    with pytest.raises(CaptureError, match=r"runs as a batch and whose first sample alone does not: Assert.*needs two"):
        capture(Several("two"), torch.rand(4, 3))
    with pytest.raises(CaptureError, match="the module must run on the example inputs"):
        capture(Several("two"), torch.rand(1, 3))


def test_how_many_values_there_are_depends_on_the_input() -> None:
    with pytest.raises(UnknownOperationError, match=r"there is no one graph\. Keep all places and weigh them"):
        capture(Inner("nonzero"), torch.rand(1, 3))


def test_places_that_a_mask_fills_with_constants_have_no_links_behind_them() -> None:
    net = Several("masked").eval()
    graph = capture(net, torch.rand(1, 3))
    sums = graph @ graph.ones()
    last = graph.groups[-1].name
    torch.testing.assert_close(sums[last].flatten(), net.centres.detach()[:, [1, 3]].sum(1))


def test_an_embedding_that_shortens_its_weights() -> None:
    net = nn.Sequential(nn.Embedding(5, 4, max_norm=0.5), nn.Linear(4, 2))
    before = net[0].weight.detach().clone()
    with pytest.raises(CaptureError, match=r"a forward pass changes no weights; got max_norm=0.5 at '0'\. Shorten"):
        capture(net, torch.tensor([[1, 2]]))
    assert torch.equal(net[0].weight, before)
