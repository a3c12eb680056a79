"""The drawing of a graph: everything in it, in its place, and nothing that users name is markup."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest

from axonometry.program.ir import Group, Synapse, Wire
from axonometry.report.drawing import graph_svg, short_count

SVG = "{http://www.w3.org/2000/svg}"


def group(name: str, shape: tuple[int, ...] = (10,)) -> Group:
    return Group(name, shape, "hidden", 0, name)


def synapse(source: str, target: str, links: int = 100) -> Synapse:
    return Synapse(target, "linear", f"{target}.weight", (10, 10), (source,), target, links)


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def bars(svg: str) -> list[dict[str, float]]:
    return [{key: float(bar.get(key) or 0) for key in ("x", "y", "height")} for bar in parsed(svg).iter("rect")]


def test_a_chain_runs_from_left_to_right_with_the_number_of_its_links() -> None:
    svg = graph_svg(
        [group("input", (784,)), group("fc1"), group("fc2")], [synapse("input", "fc1", 7840), synapse("fc1", "fc2")]
    )
    xs = [bar["x"] for bar in bars(svg)]
    assert xs == sorted(set(xs))
    text = " ".join(parsed(svg).itertext())
    assert all(words in text for words in ("fc1: 10 neurons", "7.84k", "fc2 (linear): 100 links", "784"))
    assert len(list(parsed(svg).iter("path"))) == 2


def test_a_skip_is_an_arc_over_the_group_between() -> None:
    groups = [group("input"), group("a"), group("b")]
    svg = graph_svg(groups, [synapse("input", "a"), synapse("a", "b")], [Wire("b", "skip", ("input",), 10)])
    (arc,) = [path.get("d") or "" for path in parsed(svg).iter("path") if path.get("fill") == "none"]
    highest = min(float(y) for y in re.findall(r"[\d.-]+ ([\d.-]+)", arc))
    assert highest < min(bar["y"] for bar in bars(svg))
    top = float((parsed(svg).get("viewBox") or "").split()[1])
    assert top < highest


def test_branches_stand_below_each_other() -> None:
    groups = [group("input"), group("left"), group("right"), group("sum")]
    svg = graph_svg(
        groups, [synapse("input", "left"), synapse("input", "right"), synapse("left", "sum"), synapse("right", "sum")]
    )
    _, left, right, _ = bars(svg)
    assert left["x"] == right["x"]
    assert left["y"] + left["height"] < right["y"]


def test_two_synapses_between_two_groups_are_one_band_with_all_links() -> None:
    svg = graph_svg([group("a"), group("b")], [synapse("a", "b", 100), synapse("a", "b", 23)])
    assert "123" in " ".join(parsed(svg).itertext())
    assert len(list(parsed(svg).iter("path"))) == 1


def test_more_neurons_make_a_higher_bar() -> None:
    heights = [bar["height"] for bar in bars(graph_svg([group(str(n), (n,)) for n in (1, 10, 1000)], []))]
    assert heights == sorted(set(heights))


def test_names_are_text_and_long_ones_end_visibly() -> None:
    name = "<script>alert(1)</script>"
    svg = graph_svg([group("a"), group(name)], [synapse("a", name)], [Wire("a", "skip", ("nowhere",), 1)])
    assert "<script>" not in svg
    assert name in " ".join(parsed(svg).itertext())
    assert "…" in svg


@pytest.mark.parametrize("groups", [[], [group("input", ())]])
def test_next_to_nothing_is_drawn_too(groups: list[Group]) -> None:
    assert parsed(graph_svg(groups, [])).tag in {"svg", f"{SVG}svg"}


def test_a_hundred_layers_stay_apart_and_scroll() -> None:
    groups = [group(f"layer{i}") for i in range(100)]
    svg = graph_svg(groups, [synapse(f"layer{i}", f"layer{i + 1}") for i in range(99)])
    xs = [bar["x"] for bar in bars(svg)]
    assert min(b - a for a, b in itertools.pairwise(xs)) >= 100


@pytest.mark.parametrize(("count", "text"), [(0, "0"), (999, "999"), (1000, "1k"), (2_577_103_168, "2.58G")])
def test_counts_are_short(count: int, text: str) -> None:
    assert short_count(count) == text
