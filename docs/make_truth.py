"""The page of truth: what became of each claim of the four papers, from the data of their pages.

    python docs/make_truth.py

writes docs/results/README.md from docs/results/data. Verdicts, numbers and populations are the data's; here stand the
papers, and what a hostile reviewer would still reject.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axonometry.experiments.claims import VERDICTS
from axonometry.experiments.markdown import markdown_table

RESULTS = Path(__file__).parent / "results"
PAGE = RESULTS / "README.md"


@dataclass(frozen=True)
class Paper:
    """One paper.

    Attributes:
        title: What it is called here.
        source: Where it stands.
        data: Names of its data and pages.
        last: What its last version is, as far as is known to us.
    """

    title: str
    source: str
    data: tuple[str, ...]
    last: str


PAPERS = (
    Paper(
        "La Malfa et al. 2021",
        "arXiv 2110.02628, ICTAI 2021",
        ("ictai2021",),
        "No other version is known to us: the authors are taken to make its claims still.",
    ),
    Paper(
        "Vahedian et al. 2021",
        "arXiv 2111.05410, CIKM 2022",
        ("cikm2022-learning",),
        "The short paper of 2022 makes the claims of the preprint, as far as is known to us.",
    ),
    Paper(
        "La Malfa et al. 2022, 2024",
        "arXiv 2209.05488; arXiv 2404.11172, IJCAI 2024",
        ("ijcai2024-medium", "ijcai2024-type"),
        "The paper of 2024 is the last one.",
    ),
    Paper(
        "Lin et al. 2025",
        "arXiv 2501.02436",
        ("lin2025",),
        "Version 5 is the last one; what versions 1 and 2 alone claim is marked.",
    ),
)


@dataclass(frozen=True)
class Objection:
    """What a hostile reviewer would say of some claims.

    Attributes:
        claims: How these begin, in the data.
        words: Why they would be rejected.
        experiment: What would settle it.
        cost: What that takes.
    """

    claims: tuple[str, ...]
    words: str
    experiment: str
    cost: str


OBJECTIONS = (
    Objection(
        ("Layer fluctuation rises with accuracy: small fully connected",),
        "Length of training makes both grow: within networks trained alike nothing of ρ is left: a clock, "
        "no sign of quality. The page says so, the paper's figures cannot.",
        "Strata of one length of training with a spread of accuracies from the data (label noise) instead of time",
        "2,000 networks, `ictai2021 --scale medium`: 2 hours of two cores",
    ),
    Objection(
        ("As densities, the thirds are farther apart",),
        "There is no interval at all: values of one network are no sample.",
        "A bootstrap over networks of all densities",
        "an hour of one core",
    ),
    Objection(
        ("All five measures tell networks apart that differ in number of parameters",),
        "64 against 56 units is told by PyTorch's initial scale, before training as well: the claim holds, and says "
        "little.",
        "Initial weights whose scale does not depend on the width",
        "400 networks: a quarter of an hour of two cores",
    ),
    Objection(
        ("After one epoch the curve with `changes` predicts more than the curve",),
        "60 to 160 networks of 14 x 14 images and ten epochs, and features of our own: the paper's classes, features "
        "and learners were never released.",
        "The paper's sizes: `cikm2022 --scale full`, and the authors' code",
        "days of a GPU",
    ),
    Objection(
        ("With large batches the gradients of nearly all layers converge",),
        "Three seeds of 4,000 images, which the networks learn by heart; the authors have batches of 30,000.",
        "`lin2025 --scale full --only third-phase`",
        "3 hours of a core a seed",
    ),
    Objection(
        ("The most accurate networks have 6 to 8 layers", "The sample basin grows with depth"),
        "2,000 images and 800 updates favour shallow networks; the authors may train longer, on more.",
        "10,000 images and 3,000 updates, widths to 256: `lin2025 --scale full --only depth`",
        "30 hours of a core",
    ),
    Objection(
        ("They part at the same critical number of images",),
        "Four sizes of training set and three seeds cannot place a threshold.",
        "`lin2025 --scale full --only lmap --seeds 34`: seven sizes, ten seeds, 2,048 neurons",
        "3 hours of a core",
    ),
    Objection(
        ("Small batches generalise better", "Networks of larger weight basins are more accurate"),
        "Three learning rates a batch size on 2,000 images, the greatest of which is best for all: a greater one "
        "may be better.",
        "Rates to 0.1 on all of MNIST: `lin2025 --scale full --only flat-minima`, with more rates",
        "10 hours of a core",
    ),
    Objection(
        (
            "The sample basin grows with depth",
            "Node strength tells accurate networks apart better than link weights do: small fully connected networks, "
            "random normal weights of scale 0.05",
            "Positive control: the spread of link weights goes with accuracy among networks trained alike: small fully "
            "connected networks, random normal weights of scale 0.05",
        ),
        "Undecided until some of a claim's numbers could decide without the others, a rule set after these verdicts "
        "were seen; and Simes' p takes numbers to be independent or positively dependent, which those of the same "
        "seeds need not be.",
        "The same commands with other seeds",
        "an hour of two cores",
    ),
    Objection(
        ("The weight basin shrinks", "The best depth hardly", "The peak is where", "Our question: by cross entropy"),
        "Rules of judging were chosen after numbers of these seeds were seen, which no p knows; the page names them.",
        "The same command with other seeds",
        "an hour of two cores",
    ),
)


OTHER_PAGES = """## Beside the papers

- [All measures compared](catalogue.md): which say the same, which go with score and gap, costs; 190 networks.
- [A zoo, measured or learned](zoo.md): from how many networks on a graph network beats what is measured.
- [Before training](proxies.md): what initial networks say of their final accuracy, 610 networks.
- [Pairs of networks, aligned](alignment.md): barriers before and after.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The page's text."""
    return "\n".join(_lines(_kept()))


def _kept() -> dict[str, dict[str, Any]]:
    names = [name for paper in PAPERS for name in paper.data]
    return {n: json.loads(path.read_text()) for n in names if (path := RESULTS / "data" / f"{n}.json").exists()}


def _lines(kept: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "# What became of each claim\n"
    yield (
        "Written by `python docs/make_truth.py` from the data in [data](data), which the commands of each paper wrote; "
        "do not edit. The README takes its sentences from here.\n"
    )
    yield (
        "*Holds*, *contradicted*, *in part*, *undecided*: of these networks, sizes and data, from 95 % intervals, with "
        "Holm's correction over the claims of a paper's page. A verdict comes only from networks that learned, or from "
        "a comparison with those that did not, which then is the question. Rows that no paper claims are our questions "
        "and checks.\n"
    )
    found = [(paper, [(name, kept[name]) for name in paper.data if name in kept]) for paper in PAPERS]
    rows = []
    for paper, data in found:
        for ours in (False, True):
            claims = [one for _, one_kept in data for _, one in _claims(one_kept) if _ours(one) == ours]
            count = Counter(one["verdict"] for one in claims)
            rows.append(
                (paper.title, "ours" if ours else "the paper's", str(len(claims)), *(count[v] for v in VERDICTS))
            )
    yield markdown_table(("paper", "claims", "number", *VERDICTS), rows)
    for paper, data in found:
        yield f"\n## {paper.title}\n"
        yield f"{paper.source}. {paper.last}\n"
        for name, one_kept in data:
            yield from _of_page(name, one_kept)
    yield from _objections(found)
    yield OTHER_PAGES


def _of_page(name: str, kept: Mapping[str, Any]) -> Iterator[str]:
    yield f"[{kept['title']}]({name}.md), {kept['networks']:,} networks: `{_base(kept)}`.\n"
    heads = ("claim", "stands in", "verdict", "number [95 % interval]", "p, adjusted", "n", "population")
    yield markdown_table(
        (*heads, "command, figure", "what would change the verdict"),
        (_row(name, kept, section, claim) for section, claim in _claims(kept)),
    )
    yield ""


def _base(kept: Mapping[str, Any]) -> str:
    return re.sub(r" --only \S+", "", kept["command"])


def _claims(kept: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    return ((section, claim) for section in kept["sections"] for claim in section["claims"])


def _ours(claim: Mapping[str, Any]) -> bool:
    return not claim["versions"] or claim["versions"].startswith("no paper")


def _row(page: str, kept: Mapping[str, Any], section: Mapping[str, Any], claim: Mapping[str, Any]) -> tuple[str, ...]:
    more = f". {claim['power'][0].upper()}{claim['power'][1:]}" if claim["power"] else ""
    return (
        claim["words"],
        _stands(claim),
        f"**{claim['verdict']}**",
        f"{claim['numbers']}{more}",
        _p(claim["adjusted"]),
        _sample(claim["evidence"]),
        kept.get("read_from", {}).get(section["name"], ""),
        f"{_only(kept, section)}[{_figure_name(page, section)}]({_figure(page, section)})",
        claim["settled_by"],
    )


def _stands(claim: Mapping[str, Any]) -> str:
    if _ours(claim):
        return "no paper: ours"
    still = {True: "in the last too", False: "**not in the last**", None: ""}[claim["still_made"]]
    return "; ".join(filter(None, (claim["versions"], still)))


def _p(adjusted: float | None) -> str:
    if adjusted is None:
        return "–"
    return "< 0.001" if adjusted < 0.001 else f"{adjusted:.3f}"


def _sample(evidence: Iterable[Mapping[str, Any]]) -> str:
    sizes = sorted({(one["n"], one["unit"]) for one in evidence})
    if not sizes:
        return "–"
    (least, unit), (most, _) = sizes[0], sizes[-1]
    return f"{least if least == most else f'{least}–{most}'} {unit}".strip()


def _only(kept: Mapping[str, Any], section: Mapping[str, Any]) -> str:
    return f"`--only {section['name']}`, " if kept["command"].startswith("axonometry") else ""


def _figure(page: str, section: Mapping[str, Any]) -> str:
    """The section's first picture, or its place on the page."""
    picture = f"{page}/{section['name']}-1.svg"
    if (RESULTS / picture).exists():
        return picture
    slug = re.sub(r"[^\w\- ]", "", section["title"].lower()).replace(" ", "-")
    return f"{page}.md#{slug}"


def _figure_name(page: str, section: Mapping[str, Any]) -> str:
    return "figure" if _figure(page, section).endswith(".svg") else "tables"


def _objections(found: Iterable[tuple[Paper, Iterable[tuple[str, Mapping[str, Any]]]]]) -> Iterator[str]:
    claims = [(paper, claim) for paper, data in found for _, kept in data for _, claim in _claims(kept)]
    yield "## What a hostile reviewer would still reject\n"
    rows = []
    for one in OBJECTIONS:
        named = [(paper, claim) for paper, claim in claims if claim["words"].startswith(one.claims)]
        words = "; ".join(f"{claim['words']} ({claim['verdict']})" for _, claim in named)
        rows.append((named[0][0].title if named else "", words, one.words, one.experiment, one.cost))
    yield markdown_table(("paper", "claims", "why", "what would settle it", "cost"), rows)
    yield ""


if __name__ == "__main__":
    main()
