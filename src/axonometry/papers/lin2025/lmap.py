"""Where a tanh network, its linear map and a linear network part, over the number of training images."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from axonometry.experiments import Claim, LineChart, Section
from axonometry.papers.lin2025.reading import chart, ends, groups, in_pairs, mean, means, paired, section, turning

MARGIN = 0.02
"""Accuracies that differ by less are called equal [our choice]."""
STEEPNESS = 0.1
"""Gradients that differ by less, relative to the tanh network's, are called equal [our choice]."""
WANTED = (600, 60_000)
"""Numbers of images at which the paper shows rank distributions."""

BySize = Mapping[int, pd.DataFrame]


@section(
    "version 5", still=True, settled_by="2,048 neurons and seven sizes, ten seeds (full, --seeds 34): 3 hours of a core"
)
def lmap(table: pd.DataFrame) -> Section:
    """What the networks say of the paper's claims."""
    kinds, one = groups(table, "activation"), table.iloc[0]
    tanh, linear = (groups(ends(kinds[kind]), "n_train") for kind in ("tanh", "identity"))
    setup = (
        f"One hidden layer of {one['width']} neurons, tanh or none (the paper: 2048), on {one['data']}, "
        f"{one['max_steps']:,} updates of {one['batch_size']} images by Adam ({one['learning_rate']:g}), whatever "
        "their number. The L-Map is the trained tanh network with every tanh replaced by the identity, its biases "
        "kept; its error is its outputs' distance from the network's, relative to their length. Accuracies and ranks "
        f"on {one['ranked']:,} test images."
    )
    gaps = _gaps(ends(kinds["tanh"]), ends(kinds["identity"]))
    many = kinds["tanh"][kinds["tanh"]["n_train"] == max(tanh)]
    claims = (_small(gaps), _parting(gaps), *_gradients(tanh, linear), _rise(many))
    title = "Where do a tanh network, its L-Map and a linear network part?"
    rows = {(name,): some for name, some in groups(ends(table), "condition").items()}
    columns = ("ranked_accuracy", "mapped_accuracy", "mapped_error", "gradient_1")
    tables = (means("At the end of training", rows, ("networks",), columns),)
    return Section(title, setup, claims, tables, _charts(kinds))


def _gaps(tanh: pd.DataFrame, linear: pd.DataFrame) -> pd.DataFrame:
    """By size and seed, the tanh network's accuracy less its L-Map's, and less the linear network's."""
    both = tanh.merge(linear, on=["n_train", "seed"], suffixes=("", "_linear"))
    accuracy = both["ranked_accuracy"]
    gaps = {"L-Map": accuracy - both["mapped_accuracy"], "linear network": accuracy - both["ranked_accuracy_linear"]}
    return both[["n_train", "seed"]].assign(**gaps)


def _small(gaps: pd.DataFrame) -> Claim:
    n = gaps["n_train"].min()
    both = {name: mean(gaps[gaps["n_train"] == n], name) for name in ("L-Map", "linear network")}
    words = "For small training sets all three are equally accurate"
    numbers = f"accuracy less that of the other, {n} images; equal below {MARGIN}. {in_pairs(both)}"
    # One difference suffices to refute what is said of all three; to hold, both must be small.
    each = (Claim.within(words, one, MARGIN) for one in both.values())
    return Claim.all_of(words, each, numbers=numbers, one_refutes=True)


def _parting(gaps: pd.DataFrame) -> Claim:
    """The least size from which on the gap stays above the margin, seed by seed."""
    seeds = [one.set_index("n_train").sort_index() for one in groups(gaps, "seed").values()]
    found = {name: [_critical(one[name]) for one in seeds] for name in ("L-Map", "linear network")}
    sizes = in_pairs({name: ", ".join(f"{n:,}" if n else "never" for n in ns) for name, ns in found.items()})
    words, cases = "They part at the same critical number of images", zip(*found.values(), strict=True)
    numbers = f"images from which on the tanh network is better by more than {MARGIN}, seed by seed. {sizes}"
    return Claim.counted(words, [a == b and a is not None for a, b in cases], numbers=numbers)


def _critical(gaps: pd.Series[float]) -> int | None:
    """Of gaps 0.00, 0.05, 0.01, 0.03, 0.04 at ascending sizes the fourth's, from where on none is small any more."""
    small = gaps.index[gaps <= MARGIN]
    parted = gaps.index if small.empty else gaps.index[gaps.index > small.max()]
    return None if parted.empty else int(parted[0])


def _nearest(sizes: BySize, wanted: int) -> int:
    return min(sizes, key=lambda n: abs(n - wanted))


def _gradients(tanh: BySize, linear: BySize) -> tuple[Claim, Claim]:
    """At the paper's two numbers of images, or those that come nearest."""
    few, many = (_nearest(tanh, wanted) for wanted in WANTED)
    alike, steeper = (paired(linear[n], tanh[n], "gradient_1") for n in (few, many))
    margin = STEEPNESS * abs(mean(tanh[few], "gradient_1").value)
    same = f"With {few:,} images the rank distributions of tanh and linear network coincide"
    steep = f"With {many:,} images the linear network's rank distribution is steeper"
    words = "gradient of the linear network less the tanh network's"
    equal = f"{words} {alike}; called equal below {margin:.2f}, a tenth of the tanh network's"
    return Claim.within(same, alike, margin, numbers=equal), Claim.above(steep, steeper, numbers=f"{words} {steeper}")


def _rise(table: pd.DataFrame) -> Claim:
    """Whether the gradient has its maximum between the first and the last moment."""
    rise, fall = turning(table, "gradient_1")
    peaks = [f"{one.sort_values('gradient_1')['step'].iloc[-1]:,}" for one in groups(table, "seed").values()]
    n = f"tanh, {table['n_train'].iloc[0]:,} images"
    numbers = f"{n}: rises by {rise} to its maximum, then falls by {fall}; maximum at updates {', '.join(peaks)}"
    words = "The gradient rises while the network begins to learn, then falls"
    return Claim.all_of(words, (Claim.above(words, one) for one in (rise, fall)), numbers=numbers)


def _charts(kinds: Mapping[str, pd.DataFrame]) -> tuple[LineChart, ...]:
    tanh, linear = ends(kinds["tanh"]), ends(kinds["identity"])
    accuracies = {"tanh network": (tanh, "ranked_accuracy"), "its L-Map": (tanh, "mapped_accuracy")}
    accuracies["linear network"] = (linear, "ranked_accuracy")
    sizes = sorted({_nearest(groups(tanh, "n_train"), wanted) for wanted in WANTED})
    steepness = {
        f"{name}, {n:,} images": (kinds[kind][kinds[kind]["n_train"] == n], "gradient_1")
        for name, kind in (("tanh", "tanh"), ("linear", "identity"))
        for n in sizes
    }
    axes, caption = ("training images", "accuracy on test data"), "Mean over neurons and classes; step 0 is drawn at 1."
    return (
        chart("Accuracy over the number of training images", axes, "n_train", accuracies),
        chart("Gradient of the rank distribution over training", ("update", "gradient"), "step", steepness, caption),
    )
