"""Neural collapse, modularity of classes, and the rows of representations: closed forms, and what changes nothing."""

from __future__ import annotations

import math

import networkx as nx
import pytest
import torch
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import SamplesError, ValuesError
from axonometry.metrics import class_modularity, neural_collapse
from axonometry.metrics.representation import linear_cka
from axonometry.metrics.representation_rows import class_structure, representations


def simplex(classes: int, each: int, noise: float = 0.0) -> tuple[Tensor, Tensor]:
    """Samples about the corners of a simplex in as many dimensions; every class is off by plus and minus the noise."""
    labels = torch.arange(classes).repeat_interleave(each)
    corners = (torch.eye(classes) - 1 / classes).double()
    sign = torch.tensor([1.0, -1.0]).double().repeat(classes * each // 2)[:, None]
    return corners[labels] + noise * sign * torch.nn.functional.one_hot(labels, classes), labels


def test_a_simplex_without_noise_has_collapsed() -> None:
    x, labels = simplex(4, 6)
    found = neural_collapse(x, labels, classifier=3 * (torch.eye(4) - 0.25), decisions=labels)
    assert (found.within, found.equinorm, found.equiangle, found.duality) == pytest.approx((0, 0, 0, 0), abs=1e-7)
    assert found.nearest_mean == 1


def test_the_scatter_inside_classes_is_that_of_the_whole_matrices() -> None:
    generator = torch.Generator().manual_seed(0)
    x, labels = torch.randn(60, 7, generator=generator).double(), torch.arange(60) % 3
    means = torch.stack([x[labels == c].mean(0) for c in range(3)])
    inside, between = x - means[labels], means - means.mean(0)
    whole = inside.T @ inside / 60 @ torch.linalg.pinv(between.T @ between / 3, rtol=1e-10)
    assert neural_collapse(x, labels).within == pytest.approx(float(whole.trace()) / 3)
    turned = torch.linalg.qr(torch.randn(7, 7, generator=generator).double()).Q
    assert neural_collapse(5 * x @ turned + 2, labels).within == pytest.approx(neural_collapse(x, labels).within)


def test_orthogonal_means_are_not_a_simplex_of_unequal_norms() -> None:
    """Centred, the means e1, e2 and 2 e3 have the norms 1, 1 and √2, whose spread over their mean is 3 - 2 √2."""
    labels = torch.arange(3).repeat_interleave(2)
    x = torch.diag(torch.tensor([1.0, 1.0, 2.0]))[labels]
    found = neural_collapse(x, labels)
    assert found.within == pytest.approx(0)
    assert found.equinorm == pytest.approx(3 - 2 * math.sqrt(2))
    assert math.isnan(found.duality)
    assert math.isnan(found.nearest_mean)


def test_labels_and_classifiers_that_do_not_fit_are_refused() -> None:
    x, labels = simplex(3, 2)
    with pytest.raises(SamplesError, match="two classes or more; got 1"):
        neural_collapse(x, torch.zeros(6, dtype=torch.int64))
    with pytest.raises(SamplesError, match="one a sample; got 5 for 6"):
        class_modularity(x, labels[:5])
    with pytest.raises(ValuesError, match=r"a row a class and a column a feature; got \(3, 2\)"):
        neural_collapse(x, labels, classifier=torch.ones(3, 2))
    with pytest.raises(ValuesError, match="not to all; got 6 of 6 samples"):
        class_modularity(x, labels, 6)


def test_modularity_of_classes_is_that_of_networkx() -> None:
    generator = torch.Generator().manual_seed(1)
    x, labels = torch.rand(24, 5, generator=generator).double(), torch.arange(24) % 4
    unit = x / x.norm(dim=1, keepdim=True)
    graph = nx.Graph()
    for i, row in enumerate((unit @ unit.T).fill_diagonal_(-2).tolist()):
        for j in sorted(range(24), key=lambda place, row=row: -row[place])[:3]:
            graph.add_edge(i, j, weight=row[j])
    classes = [{i for i in range(24) if labels[i] == c} for c in range(4)]
    assert class_modularity(x, labels) == pytest.approx(nx.community.modularity(graph, classes))
    assert class_modularity(10 * x, labels) == pytest.approx(class_modularity(x, labels))


def test_classes_apart_are_as_modular_as_can_be() -> None:
    x, labels = torch.eye(4).repeat_interleave(5, 0), torch.arange(4).repeat_interleave(5)
    assert class_modularity(x, labels) == pytest.approx(1 - 1 / 4)


@pytest.fixture(scope="module")
def graph() -> ax.NeuralGraph:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 5), nn.ReLU(), nn.Linear(5, 3))
    return ax.capture(model, torch.zeros(1, 1, 6, 6))


def test_rows_of_representations_are_those_of_the_features(graph: ax.NeuralGraph) -> None:
    x = torch.randn(40, 1, 6, 6, generator=torch.Generator().manual_seed(2))
    found = representations(graph, x)
    assert list(found) == [group.name for group in graph.groups]
    hidden, output = (values.detach() for values in (graph.module[:5](x), graph.module(x)))  # type: ignore[index]
    assert found["3"]["cka_output"] == pytest.approx(linear_cka(hidden, output))
    assert found["5"]["cka_before"] == pytest.approx(found["3"]["cka_output"])
    assert found["5"]["cka_output"] == pytest.approx(1)
    assert math.isnan(found["input"]["cka_before"])
    assert "complexity" in found["3"]
    assert "complexity" not in found["5"]  # of hidden units alone
    assert 1 <= found["5"]["effective_dimension"] <= 3


def test_rows_of_classes_have_the_classifier_in_front_of_the_output(graph: ax.NeuralGraph) -> None:
    x, labels = torch.randn(40, 1, 6, 6, generator=torch.Generator().manual_seed(3)), torch.arange(40) % 3
    found = class_structure(graph, [(x[:25], labels[:25]), (x[25:], labels[25:])])
    assert {name for name, row in found.items() if not math.isnan(row["duality"])} == {"3"}
    decided = graph.module(x).argmax(1)  # type: ignore[misc]
    hidden = graph.module[:5](x).detach()  # type: ignore[index]
    alone = neural_collapse(hidden, labels, classifier=graph.module[5].weight, decisions=decided)  # type: ignore[index]
    assert found["3"]["within"] == pytest.approx(alone.within, rel=1e-4)
    assert found["3"]["nearest_mean"] == alone.nearest_mean
    assert found["3"]["duality"] == pytest.approx(alone.duality, rel=1e-4)
    with pytest.raises(SamplesError, match="samples without labels"):
        class_structure(graph, x)


def test_a_network_that_diverged_has_rows_without_numbers(graph: ax.NeuralGraph) -> None:
    broken = graph.at({**graph.state, "3.bias": torch.full((5,), torch.nan)})
    x, labels = torch.ones(6, 1, 6, 6), torch.arange(6) % 3
    frame = ax.measure(broken, ["representations", "class_structure"], samples=[(x, labels)])
    assert frame[frame["group"] == "5"]["value"].isna().all()


def test_means_that_sum_to_zero_divide_by_no_rounding() -> None:
    """Three classes far from the origin: the same scatter inside, wherever it lies, to the last digits."""
    draw = torch.Generator().manual_seed(0)
    corners = torch.tensor([[3.0, 0.0, 0.0], [-1.0, 2.0, 0.0], [-2.0, -2.0, 0.0]], dtype=torch.float64)
    labels = torch.arange(12) % 3
    noise = torch.randn(12, 3, dtype=torch.float64, generator=draw)
    near = neural_collapse(corners[labels] + 0.1 * noise, labels).within
    far = neural_collapse(corners[labels] + 0.1 * noise + 1000 / 7, labels).within
    assert near == pytest.approx(far, rel=1e-6)
    assert 0 < near < 0.1
