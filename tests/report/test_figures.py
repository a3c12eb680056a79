"""Figures against the frames that they are drawn from."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from axonometry.report import figures, palette
from axonometry.report.axes import as_float32, blank, escape, evenly, hover_title, wrapped
from tests.report import synthetic

SCRIPT = "<script>alert(1)</script>"


def binned(values: pd.DataFrame, names: tuple[str, ...] = ("low", "high")) -> pd.DataFrame:
    last = values.sort_values("step").groupby("network").tail(1).set_index("network")["accuracy"]
    place = pd.cut(last.rank(method="first"), len(names), labels=list(names))
    return values.assign(bin=pd.Categorical(values["network"].map(place), categories=list(names), ordered=True))


@pytest.fixture(scope="module")
def values() -> pd.DataFrame:
    return synthetic.against_accuracy(synthetic.metrics(30))


def test_every_network_has_one_dot_at_its_last_step(values: pd.DataFrame) -> None:
    figure = figures.against_accuracy(values, y="fluctuation")
    dots = figure.data[-1]
    last = values[values["step"] == 5].set_index("network")
    assert sorted(dots.text) == sorted(last.index)
    np.testing.assert_allclose(dots.x, last.loc[list(dots.text), "accuracy"], rtol=1e-6)
    np.testing.assert_allclose(dots.y, last.loc[list(dots.text), "value"], rtol=1e-6)
    np.testing.assert_allclose(dots.marker.color, dots.x)


def test_the_lines_are_the_ways_of_the_networks(values: pd.DataFrame) -> None:
    lines = figures.against_accuracy(values, y="fluctuation").data[:-1]
    xs = np.concatenate([line.x for line in lines])
    assert np.isnan(xs).sum() == 30  # a gap after each network
    np.testing.assert_allclose(sorted(xs[~np.isnan(xs)]), sorted(values["accuracy"].astype("float32")))


def test_frames_move_the_dots_from_step_to_step(values: pd.DataFrame) -> None:
    figure = figures.against_accuracy(values, y="fluctuation", step="epoch")
    assert [frame.name for frame in figure.frames] == [f"epoch {i}" for i in range(6)]
    dots = figure.data[-1]
    np.testing.assert_array_equal(figure.frames[-1].data[0].x, dots.x)
    first = values[values["step"] == 0].set_index("network").loc[list(dots.text)]
    np.testing.assert_allclose(figure.frames[0].data[0].y, first["value"], rtol=1e-6)
    assert figure.frames[0].traces == (len(figure.data) - 1,)


def test_kinds_are_shapes_and_words(values: pd.DataFrame) -> None:
    kinds: dict[object, str] = {name: "sgd" if i % 2 else "<adam>" for i, name in enumerate(values["network"].unique())}
    dots = figures.against_accuracy(values, y="fluctuation", kinds=kinds).data[-1]
    for text, symbol in zip(dots.text, dots.marker.symbol, strict=True):
        name, kind = text.split(" ", 1)
        assert kind == f"({escape(kinds[name])})"
        assert symbol == figures.symbols(kinds)[kinds[name]]


def test_a_network_that_ended_early_stays_where_it_ended(values: pd.DataFrame) -> None:
    short = values[(values["network"] != "run-003") | (values["step"] <= 2)]
    figure = figures.against_accuracy(short, y="fluctuation")
    place = list(figure.data[-1].text).index("run-003")
    assert [frame.data[0].x[place] for frame in figure.frames[2:]] == [figure.data[-1].x[place]] * 4


def test_one_network_at_one_step_is_one_dot_without_a_player(values: pd.DataFrame) -> None:
    one = values[(values["network"] == "run-001") & (values["step"] == 5)]
    figure = figures.against_accuracy(one, y="fluctuation")
    assert len(figure.data[-1].x) == 1
    assert not figure.frames
    assert figure.data[-1].marker.cmax > figure.data[-1].marker.cmin


def test_what_is_nan_is_left_out_and_nothing_at_all_is_an_empty_figure(values: pd.DataFrame) -> None:
    broken = values.assign(value=values["value"].where(values["network"] != "run-001"))
    assert "run-001" not in figures.against_accuracy(broken, y="fluctuation").data[-1].text
    assert len(figures.against_accuracy(values.assign(value=np.nan), y="fluctuation").data) == 0


def test_the_axes_hold_every_step_also_on_a_logarithmic_axis(values: pd.DataFrame) -> None:
    spread = values.assign(value=10 ** values["value"])
    low, high = figures.against_accuracy(spread, y="fluctuation", log=True).layout.yaxis.range
    assert low < values["value"].min()
    assert high > values["value"].max()


def test_ten_thousand_networks_weigh_little_and_keep_the_extremes() -> None:
    rng = np.random.default_rng(0)
    steps = np.tile(np.arange(30), 10_000)
    names = np.repeat([f"run-{i}" for i in range(10_000)], 30)
    accuracy = np.repeat(rng.uniform(size=10_000), 30) * (steps + 1) / 30
    frame = pd.DataFrame({"network": names, "step": steps, "accuracy": accuracy, "value": accuracy**2})
    figure = figures.against_accuracy(frame, y="fluctuation")
    dots = figure.data[-1]
    assert len(dots.x) == figures.MOST_POINTS
    assert max(dots.x) == np.float32(accuracy.max())
    assert len(figure.frames) == figures.MOST_STEPS // 2
    bands = figures.over_time(binned(frame, tuple("abcde")), y="fluctuation")
    assert len(figure.to_json()) + len(bands.to_json()) < 500_000


def test_bands_are_the_quartiles_of_each_bin(values: pd.DataFrame) -> None:
    frame = binned(values)
    figure = figures.over_time(frame, y="fluctuation")
    assert [trace.name for trace in figure.data] == ["low", "low", "high", "high"]
    for band, line in (figure.data[:2], figure.data[2:]):
        part = frame[frame["bin"] == line.name].groupby("step")["value"]
        np.testing.assert_allclose(line.y, part.median(), rtol=1e-6)
        np.testing.assert_allclose(band.y, [*part.quantile(0.25), *part.quantile(0.75)[::-1]], rtol=1e-6)
        assert list(line.customdata) == list(part.size())


def test_those_in_training_are_counted(values: pd.DataFrame) -> None:
    frame = binned(values).assign(ended=values["step"].to_numpy() > 3)
    line = figures.over_time(frame, y="fluctuation").data[1]
    assert list(line.customdata) == [15] * 4 + [0] * 2


def test_a_bin_of_one_network_has_no_band_and_an_empty_one_nothing(values: pd.DataFrame) -> None:
    frame = binned(values)
    one = frame[frame["network"] == "run-000"]
    (trace,) = figures.over_time(one, y="fluctuation").data
    assert trace.mode == "lines+markers"


def test_lines_are_ordered_by_depth_and_thinned() -> None:
    steps = np.arange(5000)
    frame = pd.concat([pd.DataFrame({"name": f"l{i}", "step": steps, "value": steps * i}) for i in range(9)])
    figure = figures.lines(frame, y="value", step="epoch")
    assert [trace.line.color for trace in figure.data] == palette.steps("depth", 9)
    assert all(len(trace.x) == 5 * figures.MOST_STEPS for trace in figure.data)
    assert all(trace.x[-1] == 4999 for trace in figure.data)
    assert figure.layout.xaxis.title.text == "epoch"


@pytest.mark.parametrize(("count", "named"), [(3, True), (80, False)])
def test_a_profile_names_layers_where_there_is_room(count: int, named: bool) -> None:
    frame = pd.DataFrame({"name": [f"layer{i}.conv" for i in range(count)], "value": np.arange(count, dtype=float)})
    figure = figures.profile(frame, y="std")
    assert (figure.layout.xaxis.ticktext is not None) == named
    assert list(figure.data[0].text) == list(frame["name"])


@pytest.mark.parametrize(
    ("values", "decades"),
    [([1.0, 2.0, 3.0], False), ([0.1, 0.2, 100.0], True), ([0.0, 1.0, 100.0], False), ([np.nan], False), ([], False)],
)
def test_only_wide_positive_values_get_a_logarithmic_axis(values: list[float], decades: bool) -> None:
    assert figures.spans_decades(pd.Series(values, dtype=float)) is decades


def test_names_are_text_everywhere(values: pd.DataFrame) -> None:
    frame = binned(values.assign(network=SCRIPT + values["network"]), (SCRIPT, "b"))
    drawn = [
        figures.against_accuracy(frame, y=SCRIPT),
        figures.over_time(frame, y=SCRIPT, step=SCRIPT),
        figures.lines(frame.assign(name=SCRIPT), y=SCRIPT),
        figures.profile(pd.DataFrame({"name": [SCRIPT], "value": [1.0]}), y=SCRIPT),
    ]
    for figure in drawn:
        found = figure.to_plotly_json()
        for trace in found["data"]:
            trace.pop("legendgroup", None)  # compared with the key's name, never shown
        assert "<script>" not in repr(found)
        assert "&lt;script&gt;" in repr(found)


def test_colours_are_those_that_the_page_can_turn(values: pd.DataFrame) -> None:
    frame = binned(values)
    for figure in (figures.against_accuracy(values, y="y"), figures.over_time(frame, y="y")):
        for colour in _colours(json.loads(figure.to_json())):
            assert colour[:7] in palette.DARK


def _colours(part: object) -> list[str]:
    if isinstance(part, dict):
        return [colour for value in part.values() for colour in _colours(value)]
    if isinstance(part, list):
        return [colour for value in part for colour in _colours(value)]
    return [part] if isinstance(part, str) and part.startswith("#") else []


def test_axes_are_named_and_a_hover_text_needs_no_unit() -> None:
    figure = blank("step", "fluctuation (weight)")
    assert figure.layout.xaxis.title.text == "step"
    assert figure.layout.annotations[0].text == "fluctuation (weight)"
    assert blank("", "").layout.annotations == ()
    assert hover_title("fluctuation (weight)") == "fluctuation"
    assert escape("a<b&c>") == "a&lt;b&amp;c&gt;"


@pytest.mark.parametrize("length", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("most", [1, 2, 5, 100])
def test_thinning_keeps_order_and_ends(length: int, most: int) -> None:
    kept = evenly(length, most)
    assert len(kept) == min(length, most)
    assert list(kept) == sorted(set(kept))
    if length and most > 1:
        assert (kept[0], kept[-1]) == (0, length - 1)


def test_long_names_are_folded_near_their_middle() -> None:
    assert wrapped("layer1.0.downsample.0") == "layer1.0.<br>downsample.0"
    assert wrapped("averyverylongnamewithoutanybreak") == "averyverylongnamewithoutanybreak"


def test_numbers_travel_as_float32() -> None:
    assert as_float32([0.1, np.nan]).dtype == np.float32
    assert '"dtype":"f4"' in go.Figure(go.Scatter(y=as_float32(np.arange(100.0)))).to_json()
