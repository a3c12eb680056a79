"""How accurate a network is that is real up to a layer and linear behind it."""

from __future__ import annotations

import pandas as pd

from axonometry.experiments import Claim, LineChart, Section, mean_estimate
from axonometry.papers.lin2025.reading import correlation, ends, groups, in_pairs, mean, means, section

MARGIN = 0.01
"""An accuracy that is less by no more than this counts as the network's [our choice]."""


@section("version 5", still=True, settled_by="width 512 and all of MNIST at scale full: 20 hours of a core")
def late_layers(table: pd.DataFrame) -> Section:
    """Which layers of trained networks could as well be linear."""
    end, one, layers = ends(table), table.iloc[0], int(table["layers"].iloc[0])
    cuts = [f"cut_{layer}" for layer in range(layers + 1)]
    end = end.assign(linear_layers=[float(linear_from(list(row))) for row in end[cuts].to_numpy()])
    end["rho"] = [correlation([float(k) for k in range(layers + 1)], list(row)) for row in end[cuts].to_numpy()]
    settings = groups(end, "condition")
    spans = {"rho": (-1.0, 1.0), "linear_layers": (0.0, float(layers))}
    rhos, linear = (
        {name: mean_estimate(some[of], within=span) for name, some in settings.items()} for of, span in spans.items()
    )
    setup = (
        f"The networks of the phases, trained: {layers} hidden layers of {one['width']} with batch norm. Up to a layer "
        "the network is real; behind it every activation is the identity, which with folded batch norm is one matrix. "
        f"Accuracies on {one['ranked']:,} test images. A layer could be linear where the accuracy from it on, "
        f"and from every later one on, is at most {MARGIN} below the network's. Behind the last hidden layer "
        "nothing is left to replace."
    )
    rises = "Truncation accuracy rises with the layer from which on the network is linear"
    words = "Above some layer it equals the network's: late layers can be cut"
    numbers = f"hidden layers whose nonlinearity is not needed, of {layers}. {in_pairs(linear)}"
    claims = (
        Claim.all_of(rises, (Claim.above("", one) for one in rhos.values()), numbers=f"Spearman's ρ. {in_pairs(rhos)}"),
        Claim.all_of(words, (Claim.above("", one) for one in linear.values()), numbers=numbers),
    )
    points = [
        (name, float(layer), mean(some, cut)) for name, some in settings.items() for layer, cut in enumerate(cuts)
    ]
    axes = ("real up to hidden layer (0: linear behind the input)", "accuracy on test data")
    charts = (LineChart.of("Truncation accuracy", points, *axes, log=False),)
    rows = {(name,): some for name, some in settings.items()}
    columns = ("cut_0", "cut_1", f"cut_{layers // 2}", f"cut_{layers}", "linear_layers")
    tables = (means("At the end of training", rows, ("setting",), columns),)
    return Section("Can late layers be cut?", setup, claims, tables, charts)


def linear_from(accuracies: list[float]) -> int:
    """How many hidden layers could be linear: of a network that is real up to layer 0, 1... and linear behind it.

    Of accuracies 0.7, 0.905, 0.85, 0.905, 0.91 the last is the network's of four layers. From layer 3 on all are within
    the margin: layer 4 could be linear, one layer; that layer 1 alone comes near it does not count.

    >>> linear_from([0.7, 0.905, 0.85, 0.905, 0.91]), linear_from([0.7, 0.8, 0.91]), linear_from([0.9, 0.9])
    (1, 0, 1)
    """
    whole = accuracies[-1]
    short = [layer for layer, accuracy in enumerate(accuracies) if accuracy < whole - MARGIN]
    return len(accuracies) - 2 - max(short, default=-1)
