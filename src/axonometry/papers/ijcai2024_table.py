"""The findings of the experiment on La Malfa et al. 2022 and 2024 as a Markdown page, every number with its n."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axonometry.papers.ijcai2024_apart import CHOICES, FOLDS, TOGETHER, sets_of
from axonometry.papers.ijcai2024_features import BASELINE, CONTROL, MEASURES, SAMPLES
from axonometry.papers.markdown import machine, table, write

if TYPE_CHECKING:
    from axonometry.papers.ijcai2024 import Results
    from axonometry.papers.ijcai2024_plans import Question

KINDS = {
    "size": "number of parameters",
    "type": "type of layers",
    "activation": "activation",
    "task": "task",
    "performance": "performance",
}
"""What networks differ in, in the paper's order."""
CHANCE, NEARLY = 0.5, 0.6
"""AUC of saying nothing; and what an interval must stay below for a claim to be refuted, not only undecided
[our choice]."""

HOW = f"""\
## How to read it

- A network is one sample. All cells are trained with the same draws of optimiser, learning rate, scale of the initial
  weights, weight decay and seed; they differ in what the question names, and in what it is said to be confounded with.
- AUC: area under the ROC curve of one class against the rest, the mean over classes; {CHANCE} says nothing, 1 all.
  Learners (forests and kernel machines, combined by their errors on networks that they did not see) are fitted in
  {FOLDS.folds} folds; networks that share their hyper-parameters are never on both sides, whichever cells
  they are of. The folds are the same for all measures. Brackets are {FOLDS.level:.0%} bootstrap intervals
  over draws of hyper-parameters ({FOLDS.resamples:,} resamples, seeded); differences are on the same ones.
- What the learners see of a measure: mean, median, standard deviation, skewness and kurtosis of its values over all
  hidden layers together, over the first and over the last one; of layer fluctuation, which is one number a layer, the
  mean and the first and last layer's. No number of neurons, links or layers, no extremes, neither inputs nor outputs.
- *before training* is the same of the initial weights. Where it is high already, the measure sees how the network is
  built, and not what it has learned. Weights are drawn by PyTorch's rule, whose scale depends on the number of inputs;
  and the moments of few numbers vary more than those of many, which tells a layer's size to who looks closely. Where
  there is nothing to learn, predictions of networks that were left out come out a little below {CHANCE}.
- *{CONTROL.replace("_", " ")}* is node strength over the root of the sum of the neuron's squared weights, which neither
  the number of links nor the weights' scale changes by itself. *{BASELINE}* are statistics of all parameters (as in
  Unterthiner et al. 2020, pooled so that any network has them), without any graph; they see the outputs' too.
  *{CHOICES}* are known before training, and the same in all cells.
- Neuron strength and activation are taken on the first {SAMPLES} test inputs of the networks' own data set. Their
  formulas are recalled, not read in the paper (definitions 2); the cells, features and learners are ours.
- A claim *holds here* where the interval of all five measures lies above {CHANCE} in all its questions, *in part*
  where that of some does; it *does not hold here* where all stay below {NEARLY}, and is *undecided* otherwise. *Before
  training as well*: the intervals of the initial weights lie above {CHANCE} too; *in part*: some do.
"""


def write_results(results: Results, markdown_path: str | Path, *, command: str = "axonometry paper ijcai2024") -> None:
    """Write what was run, what was found, and how to repeat it.

    Args:
        results: Of :func:`axonometry.papers.ijcai2024.run`.
        markdown_path: The page; folders on the way are made.
        command: What repeats it.
    """
    write(page(results, command), markdown_path)


def page(results: Results, command: str) -> str:
    """The page's text."""
    parts = [
        "# La Malfa et al. 2022, 2024: do these measures tell networks apart?",
        f"Written by `{command}` (scale: {results.scale}); do not edit. "
        f"{machine(results.seconds, results.trained, int(results.cells['n'].sum()))}",
        "## In short",
        "\n".join(f"- {line}" for line in in_short(results)),
        HOW.strip(),
        "## Telling networks apart",
        *(text for question in results.questions for text in _question(results, question)),
        "## What was trained",
        _trained(results),
    ]
    if results.text:
        parts.append(
            "The text is made of the documentation strings of this Python's standard library; its SHA-256 is "
            f"`{results.text}`. Another version of Python has another text, and another digest."
        )
    return "\n\n".join(parts)


def in_short(results: Results) -> list[str]:
    """The paper's claims, one for each kind of difference: whether they hold here, and what the initial weights say."""
    found = [_claim(results, kind) for kind in KINDS if any(q.kind == kind for q in results.questions)]
    return [*found, _against_baseline(results)]


def verdict(results: Results, kind: str) -> str:
    """Whether a claim holds: by the rule that the page states."""
    rows = results.scores[results.scores["question"].isin(_names(results, kind))]
    after = rows[(rows["when"] == "after") & rows["measure"].isin(MEASURES)]
    above = after["low"] > CHANCE
    if above.all():
        return "holds here"
    if above.any():
        return "holds here in part"
    return "does not hold here" if (after["high"] < NEARLY).all() else "undecided"


def _claim(results: Results, kind: str) -> str:
    words = []
    for question in (q for q in results.questions if q.kind == kind):
        after, before = (_spread(results, question.name, when) for when in ("after", "before"))
        gained = results.differences[
            (results.differences["question"] == question.name)
            & (results.differences["minus"] == "before")
            & results.differences["measure"].isin(MEASURES)
        ]
        adds = _which(gained.loc[gained["low"] > 0, "measure"])
        words.append(
            f"*{question.title}* (n = {_count(results, question.name)}) After training told apart by "
            f"{_which(_above(results, question.name, 'after'))}, AUC {after}; before it by "
            f"{_which(_above(results, question.name, 'before'))}, {before}; training surely adds for {adds}"
            f"{_known_before(results, question)}"
        )
    said = f"{verdict(results, kind)}; {told_before(results, kind)}"
    return f"**Networks that differ in {KINDS[kind]}: {said}.** {'. '.join(words)}."


def told_before(results: Results, kind: str) -> str:
    """Whether the initial weights say as much, by the same rule."""
    rows = results.scores[results.scores["question"].isin(_names(results, kind))]
    above = rows.loc[(rows["when"] == "before") & rows["measure"].isin(MEASURES), "low"] > CHANCE
    return f"before training {'as well' if above.all() else 'in part' if above.any() else 'nothing is told'}"


def _against_baseline(results: Results) -> str:
    """In how many questions the five measures see more, or less, than statistics of the weights."""
    rows = results.differences[
        (results.differences["minus"] == BASELINE) & (results.differences["measure"] == TOGETHER)
    ]
    more, less = list(rows.loc[rows["low"] > 0, "question"]), list(rows.loc[rows["high"] < 0, "question"])
    return (
        f"**Against statistics of all parameters**, after training: the five measures together surely tell more in "
        f"{len(more)} of {len(rows)} questions ({_listed(more)}), and surely less in {len(less)} ({_listed(less)})."
    )


def _spread(results: Results, question: str, when: str) -> str:
    """From the least to the greatest AUC of the five measures."""
    rows = results.scores
    rows = rows[(rows["question"] == question) & (rows["when"] == when) & rows["measure"].isin(MEASURES)]
    ordered = rows.sort_values("value", kind="stable").to_dict("records")
    low, high = ordered[0], ordered[-1]
    return f"{_interval(low)} ({_plain(low['measure'])}) to {_interval(high)} ({_plain(high['measure'])})"


def _above(results: Results, question: str, when: str) -> Iterable[str]:
    """Those of the five measures whose interval lies above chance."""
    rows = results.scores
    rows = rows[(rows["question"] == question) & (rows["when"] == when) & rows["measure"].isin(MEASURES)]
    return rows.loc[rows["low"] > CHANCE, "measure"]


def _known_before(results: Results, question: Question) -> str:
    """What the hyper-parameters alone give, where networks differ in them."""
    rows = _rows(results.scores[results.scores["measure"] == CHOICES], question)
    return f"; hyper-parameters alone, known before training, give {_interval(rows[0])}" if rows else ""


def _which(measures: Iterable[str]) -> str:
    """Some of the five measures, in words."""
    names = [_plain(name) for name in measures]
    return "all five" if len(names) == len(MEASURES) else _listed(names)


def _question(results: Results, question: Question) -> Iterable[str]:
    titles = dict(zip(results.cells["name"], results.cells["title"], strict=True))
    yield f"### {question.title}"
    yield (
        f"Networks that differ in {KINDS[question.kind]}, n = {_count(results, question.name)}: "
        f"{'; '.join(f'`{name}` ({titles[name]})' for name in question.cells)}. Confounded: {question.confounded}"
    )
    scores = {(row["measure"], row["when"]): row for row in _rows(results.scores, question)}
    apart = {(row["measure"], row["minus"]): row for row in _rows(results.differences, question)}
    header = ["told apart by", "AUC after training", "before training", "after − before", "after − weights' after"]
    rows = [
        [
            _plain(measure),
            _interval(scores[measure, "after"]),
            _interval(scores[measure, "before"]),
            _interval(apart[measure, "before"]),
            _interval(apart.get((measure, BASELINE), _NOTHING)),
        ]
        for measure in sets_of(question)
    ]
    yield table(header, rows)


def _trained(results: Results) -> str:
    rows = (
        [
            f"{row['title']} (`{row['name']}`)",
            row["n"],
            f"{row['parameters']:,}",
            str(row["performance"]).replace("_", " "),
            ", ".join(f"{row[name]:.3f}" for name in ("least", "lower", "median", "upper", "most")),
        ]
        for row in results.cells.to_dict("records")
    )
    header = ["cell", "networks", "parameters", "performance on test data", "least, quartiles, most"]
    return table(header, rows)


def _names(results: Results, kind: str) -> list[str]:
    return [question.name for question in results.questions if question.kind == kind]


def _count(results: Results, question: str) -> int:
    return int(results.scores.loc[results.scores["question"] == question, "n"].iloc[0])


def _rows(frame: Any, question: Question) -> list[dict[Any, Any]]:
    found: list[dict[Any, Any]] = frame[frame["question"] == question.name].to_dict("records")
    return found


def _plain(measure: str) -> str:
    return str(measure).replace("_", " ")


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "none"
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]


_NOTHING: Mapping[str, float] = {"value": float("nan")}


def _interval(row: Mapping[Any, Any]) -> str:
    if row["value"] != row["value"]:
        return "–"
    value, low, high = (round(row[name], 2) + 0.0 for name in ("value", "low", "high"))  # no -0.00
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"
