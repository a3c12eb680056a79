"""Figures of pooled values by measure: their densities, and how far apart these are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from axonometry.report import definitions, palette
from axonometry.report.chance import Row, beside_chance
from axonometry.report.distributions import density_panels, divergence_panels, keys
from axonometry.report.page import Figure
from axonometry.report.samples import Samples, centre, density_curves, divergences

APART = "Jeffreys divergence, in nats: 0 where two densities are alike, large where they are far apart."
MOST = 10
"""Pairs of a group that are held against chance: those farthest apart."""
CUT = "Tails are cut where most curves are low."


def figures_by_measure(
    values: Samples,
    names: Sequence[str],
    scale: palette.Scale = "accuracy",
    *,
    title: str,
    caption: str,
    apart: bool = True,
) -> Iterator[Figure]:
    """Of each measure the densities of its samples, a panel a group, and the divergences between them.

    Args:
        values: The samples, by measure and group, and by name.
        names: The names that samples may have, in the order of the scale.
        scale: The colour scale.
        title: What follows the measure's name in the figures' headings.
        caption: What the densities are of.
        apart: Whether divergences are drawn; where a group has one sample alone there is none.
    """
    curves, matrices = density_curves(values), divergences(values) if apart else {}
    for metric in dict.fromkeys(curves["metric"]):
        mine, words = curves[curves["metric"] == metric], metric.replace("_", " ")
        panels = density_panels(mine, names, metric, scale)
        for panel, (_, part) in zip(panels, mine.groupby("group", sort=False), strict=True):
            panel.figure.update_xaxes(range=centre(part))
        legend = keys(names, scale, drawn=set(mine["name"]))
        yield Figure(f"{words.capitalize()}{title}", panels, f"{caption} {CUT}", definitions.definition(metric), legend)
        if between := divergence_panels(matrices, metric):
            chance = beside_chance(values, {place: m for place, m in matrices.items() if place[0] == metric}, MOST)
            caption = f"{APART} {_by_chance(chance)}".strip()
            yield Figure(f"How far apart: {words}{title}", between, caption, definitions.divergence())


def _by_chance(rows: Sequence[Row]) -> str:
    """What chance gives in the place of the divergences drawn, a range over the pairs of each group."""
    found = []
    for group in dict.fromkeys(row[1] for row in rows):
        highs = [row[6] for row in rows if row[1] == group]
        span = f"{min(highs):.2g}" if min(highs) == max(highs) else f"{min(highs):.2g} to {max(highs):.2g}"
        found.append(f"{group}: {span}" if group else span)
    if not found:
        return ""
    return f"Relabelled halves of a pair stay below (97.5 %) {'; '.join(found)}: a divergence not above that is none."
