"""The findings of the experiment on Vahedian et al. 2021 as an HTML page, a tab a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axonometry.papers import cikm2022
from axonometry.papers.cikm2022_table import in_short
from axonometry.report import definitions
from axonometry.report.intervals import intervals
from axonometry.report.page import Block, Facts, Figure, Page, Prose, Tab, Table
from axonometry.report.prediction import evaluation_blocks, importance_figure, predicted_blocks

if TYPE_CHECKING:
    from axonometry.papers.cikm2022 import Finding, Results


def results_page(results: Results, *, command: str = "axonometry paper cikm2022") -> Page:
    """The page of the whole experiment.

    Args:
        results: Of :func:`axonometry.papers.cikm2022.run`.
        command: What repeats it.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    total = int(results.populations["n"].sum())
    tabs = [Tab("In short", _short(results))]
    tabs += [Tab(found.name, _finding(found)) for found in results.findings]
    if results.transfers:
        tabs.append(Tab("What was never seen", _transfers(results)))
    tabs.append(Tab("In time", _pruning(results)))
    return Page(
        "How good will it become?",
        f"The experiment of Vahedian et al. 2021 on {total:,} networks: final accuracy from a few epochs' graphs.",
        (*tabs, definitions.tab(cikm2022.MEASURES)),
        {"scale": results.scale, "networks": total},
        command,
    )


def _short(results: Results) -> tuple[Block, ...]:
    facts = {"networks": int(results.populations["n"].sum()), "populations": len(results.populations)}
    words = "\n\n".join(line.replace("**", "").replace("*", "") for line in in_short(results))
    caption = "Final accuracy: least, quartiles and most."
    return (
        Facts(facts, prominent=True),
        Prose(words, "In short"),
        Table.of(results.populations, title="What was trained", caption=caption),
    )


def _finding(found: Finding) -> tuple[Block, ...]:
    blocks: list[Block] = [Prose(found.title), *evaluation_blocks(found.median), *predicted_blocks(found.median)]
    if found.importances is not None:
        blocks.append(importance_figure(found.importances))
    if found.sizes is not None:
        caption = "By the number of runs that were learned from, after one epoch."
        blocks.append(Table.of(found.sizes, title="How many runs it takes", caption=caption))
    if found.learned is not None:
        caption = f"Classes: a final accuracy of {found.learned.threshold:.0%} or more, or less."
        blocks.append(Table.of(found.learned.scores, title="Learned something or nothing", caption=caption))
    return tuple(blocks)


def _transfers(results: Results) -> tuple[Block, ...]:
    import pandas as pd

    rows = pd.concat(
        [t.evaluation.scores.assign(unseen=f"{t.kind}: {t.source} → {t.target}") for t in results.transfers]
    )
    panels = []
    for (unseen, epochs), part in rows[rows["score"] == "auc"].groupby(["unseen", "epochs"], sort=False):
        estimates = part.rename(columns={"features": "name"}).assign(series="AUC")
        words = f"{unseen}, {epochs} epoch{'s' * (epochs != 1)}"
        panels.append(intervals(estimates, x="AUC", reference=0.5, title=words))
    caption = (
        "Learned from one kind of networks, predicted for another, with features that any network has. The threshold "
        f"is {cikm2022.LEARNED:.0%} for architectures and widths, the median for data sets."
    )
    table = rows[["unseen", "features", "epochs", "score", "value", "low", "high"]]
    return Figure("On which side of the threshold", tuple(panels), caption), Table.of(table, title="All scores")


def _pruning(results: Results) -> tuple[Block, ...]:
    caption = "Studies replayed over the recorded runs of the hard grid; the predictor was fitted on other runs."
    return (Table.of(results.pruning, title="What pruning on the prediction saves", caption=caption),)
