"""Activation graphs: networkx's spanning trees as an oracle, scores by hand, and networks that have none."""

from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import ConfigurationError, ValuesError
from axonometry.metrics.topology import activation_trees, shift_scores
from axonometry.testing import graph_of


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))


def test_trees_are_those_of_networkx() -> None:
    model, x = network(), torch.randn(6, 5)
    trees = activation_trees(ax.capture(model, x[:1]), x)
    hidden = torch.relu(model[0](x)).detach()
    for name, layer, arriving in (("0", model[0], x), ("2", model[2], hidden)):
        for row, sample in zip(trees[name], arriving, strict=True):
            links = (layer.weight * sample).abs().detach()
            graph = nx.Graph()
            for i, j in np.ndindex(*links.shape):
                graph.add_edge(("out", i), ("in", j), weight=float(links[i, j]))
            expected = sorted(d["weight"] for _, _, d in nx.maximum_spanning_tree(graph).edges(data=True))
            assert row.tolist() == pytest.approx(expected, rel=1e-5)


def test_scores_are_distances_from_the_mean_of_the_class_and_of_the_logits() -> None:
    model, known, x = network(), torch.randn(40, 5), torch.randn(7, 5)
    graph = ax.capture(model, x[:1])
    scores = shift_scores(graph, [x[:3], x[3:]], known)
    trees, of_known = activation_trees(graph, x), activation_trees(graph, known)
    logits, classes = model(x).detach().double(), model(known).argmax(1)
    for i in range(len(x)):
        same = (classes == int(logits[i].argmax())).numpy()
        apart = [np.sqrt(np.mean((trees[name][i] - of_known[name][same].mean(0)) ** 2)) for name in ("0", "2")]
        assert scores["topological_uncertainty"][i] == pytest.approx(np.mean(apart))
        assert scores["energy"][i] == pytest.approx(-math.log(sum(math.exp(z) for z in logits[i])))
        assert scores["softmax"][i] == pytest.approx(1 - float(logits[i].softmax(0).max()))


def test_a_class_that_no_known_sample_is_put_into_has_no_score() -> None:
    scores = shift_scores(graph_of([[1.0, 0.0], [0.0, 1.0]]), torch.eye(2), torch.tensor([[2.0, 0.0]]))
    assert scores["topological_uncertainty"].isna().tolist() == [False, True]
    assert scores["softmax"].notna().all()


def test_layers_that_are_not_linear_are_left_out() -> None:
    convolution = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten())
    with pytest.raises(ConfigurationError, match="linear layers that read the neurons of one group"):
        activation_trees(ax.capture(convolution, torch.zeros(1, 1, 4, 4)), torch.zeros(1, 1, 4, 4))
    both = nn.Sequential(*convolution, nn.Linear(8, 2)).eval()
    trees = activation_trees(ax.capture(both, torch.zeros(1, 1, 4, 4)), torch.zeros(3, 1, 4, 4))
    assert {name: rows.shape for name, rows in trees.items()} == {"3": (3, 9)}


@pytest.mark.parametrize("weights", [[[1.0]], [[0.0, 0.0]], [[2.0, 2.0], [2.0, 2.0]]])
def test_one_neuron_zeros_and_ties(weights: list[list[float]]) -> None:
    trees = activation_trees(graph_of(weights), torch.ones(1, len(weights[0])))
    assert trees["0"].tolist() == [[abs(weights[0][0])] * (sum(np.shape(weights)) - 1)]


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValuesError, match="finite weights; got others in 0"):
        activation_trees(graph_of([[math.nan, 1.0]]), torch.ones(1, 2))
    with pytest.raises(ValuesError, match="finite activations; got others in input"):
        activation_trees(graph_of([[1.0, 1.0]]), torch.tensor([[math.inf, 1.0]]))
