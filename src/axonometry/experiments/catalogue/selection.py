"""Which few numbers carry what is known of the final score, and how much the others add."""

from __future__ import annotations

import pandas as pd

from axonometry.experiments.catalogue.agreement import ALIKE, clusters
from axonometry.experiments.catalogue.measuring import FINAL, SCORE, UPDATES
from axonometry.experiments.catalogue.reading import Numbers, populations_of
from axonometry.experiments.claims import Claim
from axonometry.experiments.experiment import Measurements
from axonometry.experiments.section import Section, cross_table
from axonometry.predict.stability import FIRST, STABLE, explained, ranked, stability
from axonometry.statistics import repeated_folds_estimate

FOLDS = 5


def selection(found: Measurements) -> Section:
    """Stable numbers after the first epoch, and R² of few, of all, and of the score alone."""
    cells: dict[tuple[str, str], object] = {}
    shares: dict[tuple[str, str], object] = {}
    claims = []
    for numbers in populations_of(found):
        table = numbers.at(numbers.first)
        all_, target = ranked(standing(numbers)), ranked(table[[FINAL]])[FINAL]
        so_far = ranked(table[[SCORE, UPDATES]])
        stable = stability(all_, target)
        for name, share in stable[stable >= STABLE].items():
            shares[str(name), numbers.title] = f"{share:.2f}"
        parts = {
            "score so far": (so_far, False),
            f"{FIRST} chosen": (all_, True),
            "all": (all_, False),
            "all and the score": (pd.concat([all_, so_far], axis=1), False),
        }
        r2 = {name: explained(one, target, few=few, folds=FOLDS) for name, (one, few) in parts.items()}
        n = len(target)
        for name, values in r2.items():
            cells[numbers.title, name] = repeated_folds_estimate(values, FOLDS, n)
        more = [a - b for a, b in zip(r2["all and the score"], r2["score so far"], strict=True)]
        gain = repeated_folds_estimate(more, FOLDS, n)
        cells[numbers.title, "more than the score"] = gain
        words = f"{numbers.title}: after the first epoch all numbers with the score say more than the score"
        claim = Claim.above(words, gain)
        claims.append(claim.stated("no paper: ours", settled_by="more networks of the population"))
    if not cells:
        return Section("Which few carry the information?", "No population has enough networks that learned.")
    setup = (
        f"Ranks as normal scores after the first epoch; of numbers that are alike (|ρ| above {ALIKE:g}) one stands for "
        f"all. A number is stable where it is among the first {FIRST} of the lasso's path in {STABLE:.0%} of 100 "
        "random halves or more. R² is of ridge regression on networks that were not learned from, 5 folds, 10 repeats, "
        "intervals corrected for shared runs; the chosen ones are chosen anew in each fold. The score so far stands "
        "with the updates so far."
    )
    caption = "Share of halves; empty where it is not stable, or another number stands for it."
    tables = [cross_table("R² of the final score's rank", "population", cells)]
    if shares:
        tables.append(cross_table("Stable numbers", "number", shares, caption))
    return Section("Which few carry the information?", setup, tuple(claims), tuple(tables))


def standing(numbers: Numbers) -> pd.DataFrame:
    """The numbers after the first epoch, one of each cluster of those that are alike.

    Args:
        numbers: Of a population; numbers that a tenth of its networks lack are left out.
    """
    table = numbers.measures(numbers.first)
    table = table[[name for name in table if table[name].notna().mean() > 0.9]]
    alike = table.corr("spearman")
    kept = {alike.loc[part, part].abs().sum().idxmax() for part in clusters(alike)}
    return table[[name for name in table if name in kept]]
