"""A small graph network that learns to predict accuracy from the weights themselves.

The graph is that of :func:`axonometry.program.to_pyg` in the convention ``neural-graphs``: a node a channel with its
bias, an edge a kernel. Messages go along the edges and against them::

    m_ij = silu(E e_ij + S h_i + T h_j)          h_j' = h_j + U [mean over i of m_ij, mean over k of m_jk]

with e_ij the kernel, and so what comes out does not change where channels trade places. Read-out: the mean of the
nodes of each depth, in hat functions over the relative depth, so that networks of different depth are read alike.

Source: after Kofinas et al. 2024 (neural graphs), much smaller [our choice]: it has to learn on a CPU in minutes.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from axonometry.errors import MissingExtraError
from axonometry.program.parameter_graph import ParameterGraph

DEPTHS = 6
"""Hat functions over the relative depth."""


@dataclass(frozen=True)
class GraphPlan:
    """How the graph network is built and trained.

    Attributes:
        width: Numbers of a node.
        rounds: Rounds of messages.
        epochs: Passes over the training networks; the best by those held out is kept.
        batch: Networks a step.
        rate: Adam's largest learning rate; a cosine brings it to 0.
        decay: Weight decay.
        held_out: Share of the training networks that choose the epoch.
    """

    width: int = 16
    rounds: int = 2
    epochs: int = 12
    batch: int = 16
    rate: float = 0.005
    decay: float = 0.05
    held_out: float = 0.15


class Exported:
    """Networks as graphs: one structure an architecture, one vector of parameters a network.

    Args:
        graphs: The structure of each network; networks of one architecture share one object.
        states: The weights of each.
    """

    def __init__(self, graphs: Sequence[ParameterGraph], states: Sequence[Mapping[str, Tensor]]) -> None:
        self.graphs = tuple(graphs)
        self.taps = max(graph.edge_attr.shape[1] for graph in self.graphs)
        self.biases = max(graph.x.shape[1] for graph in self.graphs)
        self.vectors = [
            torch.cat([state[name].detach().reshape(-1).float() for name in graph.parameters])
            for graph, state in zip(self.graphs, states, strict=True)
        ]
        self._fixed = {id(graph): _Fixed.of(graph, self.taps, self.biases) for graph in self.graphs}

    def __len__(self) -> int:
        return len(self.vectors)

    def scales(self, rows: Sequence[int]) -> dict[str, float]:
        """By parameter, the median over some networks of its root mean square, which its numbers are divided by."""
        found: dict[str, list[float]] = {}
        for row in rows:
            for name, part in self._parts(row):
                found.setdefault(name, []).append(float(part.square().mean().sqrt()))
        return {name: max(float(np.nanmedian(values)), 1e-6) for name, values in found.items()}

    def _parts(self, row: int) -> Iterator[tuple[str, Tensor]]:
        graph = self.graphs[row]
        sizes = [math.prod(graph.shapes[name]) for name in graph.parameters]
        return zip(graph.parameters, self.vectors[row].split(sizes), strict=True)

    def data(self, row: int, scales: Mapping[str, float]) -> Any:
        """One network as ``torch_geometric.data.Data``, numbers as asinh of their size in scales; NaN as 0."""
        from torch_geometric.data import Data

        fixed = self._fixed[id(self.graphs[row])]
        scaled = torch.cat([part / scales.get(name, 1.0) for name, part in self._parts(row)])
        vector = torch.asinh(torch.nan_to_num(scaled, 0.0, 1e6, -1e6))
        return Data(
            x=fixed.nodes.filled(vector),
            edge_index=fixed.edge_index,
            edge_attr=fixed.edges.filled(vector),
            depth=fixed.depth,
        )


@dataclass(frozen=True)
class _Features:
    """Numbers of edges or nodes: constants, and entries that parameters fill."""

    constant: Tensor
    where: Tensor
    place: Tensor

    @classmethod
    def of(cls, place: Tensor, constant: Tensor, width: int) -> _Features:
        """Padded to a width."""
        place = F.pad(place, (0, width - place.shape[1]), value=-1)
        free = torch.where(place[:, : constant.shape[1]] >= 0, 0.0, constant.float())
        constant = F.pad(free, (0, width - constant.shape[1]))
        where = (place.flatten() >= 0).nonzero()[:, 0]
        return cls(constant, where, place.flatten()[where])

    def filled(self, vector: Tensor) -> Tensor:
        # The entries alone: of LeNet's edges, padded to 5 x 5, one in twenty numbers is a parameter.
        values = self.constant.clone()
        values.view(-1)[self.where] = vector[self.place]
        return values


@dataclass(frozen=True)
class _Fixed:
    edge_index: Tensor
    edges: _Features
    nodes: _Features
    depth: Tensor

    @classmethod
    def of(cls, graph: ParameterGraph, taps: int, biases: int) -> _Fixed:
        """The parts of a graph that its weights do not change; kernels padded to ``taps``."""
        depth = graph.layer.float() / max(int(graph.layer.max()), 1)
        return cls(
            graph.edge_index,
            _Features.of(graph.edge_place, graph.edge_attr, taps),
            _Features.of(graph.x_place, torch.zeros(graph.x.shape), biases),
            (1 - (depth[:, None] * (DEPTHS - 1) - torch.arange(DEPTHS)).abs()).clamp(min=0),
        )


class GraphNetwork(nn.Module):
    """The network of this page.

    Args:
        taps: Numbers of an edge.
        biases: Numbers of a node.
        plan: How wide, how many rounds.
    """

    def __init__(self, taps: int, biases: int, plan: GraphPlan) -> None:
        super().__init__()
        width = plan.width
        self.start = nn.Linear(biases + DEPTHS, width)
        self.edges = nn.ModuleList(nn.Linear(taps, width) for _ in range(plan.rounds))
        self.sources = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(plan.rounds))
        self.targets = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(plan.rounds))
        self.updates = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(plan.rounds))
        self.head = nn.Sequential(nn.Linear(DEPTHS * width, 2 * width), nn.SiLU(), nn.Linear(2 * width, 1))

    def forward(self, batch: Any) -> Float[Tensor, " networks"]:
        """The logit of the accuracy of each network of a ``torch_geometric`` batch."""
        source, target = batch.edge_index
        n = len(batch.x)
        counts = [torch.bincount(to, minlength=n).clamp(min=1)[:, None] for to in (target, source)]
        h = self.start(torch.cat([batch.x, batch.depth], 1))
        for edge, of_source, of_target, update in zip(
            self.edges, self.sources, self.targets, self.updates, strict=True
        ):
            ends = of_source(h).index_select(0, source) + of_target(h).index_select(0, target)
            message = F.silu(edge(batch.edge_attr) + ends)
            both = [_sums(message, to, n) / count for to, count in zip((target, source), counts, strict=True)]
            h = h + F.silu(update(torch.cat(both, 1)))
        weighted = (batch.depth[:, :, None] * h[:, None, :]).flatten(1)
        weight = batch.depth.repeat_interleave(h.shape[1], 1)
        pooled, total = (_sums(values, batch.batch, batch.num_graphs) for values in (weighted, weight))
        return torch.as_tensor(self.head(pooled / total.clamp(min=1e-6)))[:, 0]


def _sums(values: Tensor, to: Tensor, n: int) -> Tensor:
    """Rows added up by where they go. torch's own: five times as fast on a CPU as a scatter of single numbers."""
    return torch.zeros(n, values.shape[1]).index_add(0, to, values)


def learned_predictions(
    networks: Exported,
    accuracy: Float[np.ndarray, " networks"],
    known: np.ndarray,
    new: np.ndarray,
    plan: GraphPlan | None = None,
    seed: int = 0,
) -> Float[np.ndarray, " new"]:
    """Train the graph network on some networks and predict others.

    Args:
        networks: All of them.
        accuracy: Of each, between 0 and 1.
        known: Numbers of those to learn from.
        new: Numbers of those to predict.
        plan: How.
        seed: Of the initial weights, the order and what is held out.

    Returns:
        Predictions of ``new``, between 0 and 1.

    Raises:
        MissingExtraError: torch_geometric is not installed.
    """
    require_geometric()
    plan = plan or GraphPlan()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        order = np.random.default_rng(seed).permutation(known)
        kept_out = order[: max(1, round(plan.held_out * len(order)))]
        train = order[len(kept_out) :]
        targets = torch.from_numpy(np.asarray(accuracy, dtype=np.float32)).clamp(0, 1)
        scales = networks.scales([int(row) for row in train])
        fitting = _Fitting(GraphNetwork(networks.taps, networks.biases, plan), networks, targets, scales, plan)
        fitting.fit(train, kept_out)
        return fitting.predict(new).numpy()


def require_geometric() -> None:
    """Make sure that torch_geometric is there.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import torch_geometric  # noqa: F401
    except ImportError:
        missing = MissingExtraError.of("torch_geometric", "pyg")
        raise missing from None


@dataclass(frozen=True)
class _Fitting:
    model: GraphNetwork
    networks: Exported
    targets: Tensor
    scales: Mapping[str, float]
    plan: GraphPlan

    def fit(self, train: np.ndarray, held_out: np.ndarray) -> None:
        """Train, and keep the weights of the epoch whose predictions of the networks held out are best."""
        model, plan = self.model, self.plan
        optimizer = torch.optim.AdamW(model.parameters(), lr=plan.rate, weight_decay=plan.decay)
        steps = plan.epochs * -(-len(train) // plan.batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.rate, total_steps=steps)
        best, least = copy.deepcopy(model.state_dict()), math.inf
        for _ in range(plan.epochs):
            model.train()
            for batch, numbers in self._batches(torch.from_numpy(train)[torch.randperm(len(train))]):
                optimizer.zero_grad()
                F.binary_cross_entropy_with_logits(model(batch), self.targets[numbers]).backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
            error = float((self.predict(held_out) - self.targets[held_out]).square().mean())
            if error < least:
                best, least = copy.deepcopy(model.state_dict()), error
        model.load_state_dict(best)

    def predict(self, rows: np.ndarray) -> Tensor:
        """Accuracies."""
        self.model.eval()
        with torch.no_grad():
            return torch.cat([torch.sigmoid(self.model(batch)) for batch, _ in self._batches(torch.from_numpy(rows))])

    def _batches(self, rows: Tensor) -> Iterator[tuple[Any, Tensor]]:
        from torch_geometric.data import Batch

        for numbers in rows.split(self.plan.batch):
            yield Batch.from_data_list([self.networks.data(row, self.scales) for row in numbers.tolist()]), numbers
