"""Planted shifts of the digits: does the topology of activations tell them better than the outputs alone?"""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import mannwhitneyu
from torch import Tensor, nn

import axonometry as ax
from axonometry.metrics.topology import shift_scores
from axonometry.populations.datasets import load_dataset
from axonometry.statistics import mean_estimate
from benchmarks.timing import Row

SEEDS, EPOCHS, KNOWN = 5, 20, 500
WORDS = {"topological_uncertainty": "topological uncertainty", "softmax": "the largest softmax", "energy": "energy"}


def planted() -> list[Row]:
    """Area under the ROC curve between test images as they are and shifted ones, by score; ranges over networks."""
    areas = [_areas(seed) for seed in range(SEEDS)]
    rows = []
    for shift in areas[0]:
        found = {score: mean_estimate([one[shift][score] for one in areas], within=(0.0, 1.0)) for score in WORDS}
        own, *others = ((score, value.text()) for score, value in found.items())
        detail = "; ".join(f"{WORDS[score]} {text}" for score, text in others)
        name = f"AUC of topological uncertainty, {shift} of the digits against test images"
        best = max(value.value for score, value in found.items() if score != own[0])
        reached = found[own[0]].value >= best
        rows.append(Row(name, own[1], "that of either baseline", reached, SEEDS, detail))
    return rows


def _areas(seed: int) -> dict[str, dict[str, float]]:
    """By shift and score, for one network of 64 and 32 hidden units."""
    data = load_dataset("digits")
    inputs, test = data.train_inputs.flatten(1), data.test_inputs.flatten(1)
    graph = ax.capture(_trained(inputs, data.train_labels, seed), inputs[:1])
    sets = {"": test} | _shifts(test, seed)
    scores = shift_scores(graph, torch.cat(list(sets.values())), inputs[:KNOWN])
    usual, *strange = (scores[start : start + len(test)] for start in range(0, len(scores), len(test)))
    return {
        name: {score: _area(usual[score].to_numpy(), one[score].to_numpy()) for score in WORDS}
        for name, one in zip(list(sets)[1:], strange, strict=True)
    }


def _shifts(images: Tensor, seed: int) -> dict[str, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    noise = torch.randn(images.shape, generator=chance)
    places = torch.rand(images.shape, generator=chance).argsort(1)
    return {
        "noise of 0.3 on pixels": (images + 0.3 * noise).clamp(0, 1),
        "a quarter turn": images.unflatten(1, (8, 8)).rot90(1, (1, 2)).flatten(1),
        "inverted images": 1 - images,
        "shuffled pixels": images.gather(1, places),
    }


def _area(usual: np.ndarray, strange: np.ndarray) -> float:
    return float(mannwhitneyu(strange, usual).statistic) / (len(usual) * len(strange))


def _trained(inputs: Tensor, labels: Tensor, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(EPOCHS):
        for some in torch.randperm(len(labels)).split(32):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(inputs[some]), labels[some]).backward()
            optimiser.step()
    return model.eval()
