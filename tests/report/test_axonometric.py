"""The axonometric picture: every plane, link and arc is there, labels never meet, nothing in it runs."""

from __future__ import annotations

import itertools
import re
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import ConfigurationError, ValuesError
from axonometry.report.axonometric.labels import labels_of, text_width
from axonometry.report.axonometric.layout import frame_of
from axonometry.report.axonometric.scene import scene_of

SVG = "{http://www.w3.org/2000/svg}"


class Deep(nn.Module):
    """Twelve residual blocks of two layers: two lines of planes."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 8)) for _ in range(13))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = torch.relu(block(x) + x)
        return x


@pytest.fixture(scope="module")
def small() -> ax.NeuralGraph:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 20), nn.ReLU(), nn.Linear(20, 3)
    )
    return ax.capture(model, torch.zeros(1, 1, 6, 6))


@pytest.fixture(scope="module")
def deep() -> ax.NeuralGraph:
    return ax.capture(Deep(), torch.zeros(1, 8))


def words(svg: str) -> list[str]:
    return [part for text in ElementTree.fromstring(svg).iter(f"{SVG}text") for part in text.itertext()]


def test_links_are_the_strongest_of_each_pair_with_the_sign_of_their_sum(small: ax.NeuralGraph) -> None:
    scene = scene_of(small, ax.node_strength(small), n_links=5)
    norms, sums = small.channels("norm").blocks["5", "3"], small.channels("sum").blocks["5", "3"]
    drawn = sorted((link.weight for link in scene.links if link.target == 3), key=abs)
    expected = norms.flatten().topk(5)
    signed = expected.values * sums.flatten()[expected.indices].sign()
    assert drawn == pytest.approx(sorted(signed.tolist(), key=abs), rel=1e-6)


def test_a_link_ends_at_the_cells_of_its_channels(small: ax.NeuralGraph) -> None:
    (link,) = (link for link in scene_of(small, ax.node_strength(small), n_links=1).links if link.target == 3)
    row, column = divmod(int(small.channels().blocks["5", "3"].argmax()), 20)
    assert (link.start, link.end) == ((0, column), (0, row))


def test_cells_are_means_of_the_values_of_their_channels(small: ax.NeuralGraph) -> None:
    values = ax.node_strength(small)
    planes = scene_of(small, values).planes
    assert torch.allclose(planes[2].slices[0][:, 0], values["3"].float())
    assert torch.allclose(planes[1].slices[0].mean(1), values["0"].float().mean((1, 2)), atol=1e-5)


def test_a_residual_network_has_an_arc_a_block_and_wraps_into_lines(deep: ax.NeuralGraph) -> None:
    scene = scene_of(deep, ax.node_strength(deep))
    assert len(scene.arcs) == 13
    frame = frame_of(scene, 0.0)
    assert frame.lines == 2
    assert sum(spot.ghost for spot in frame.spots) == 1
    assert sorted(spot.plane for spot in frame.spots if not spot.ghost) == list(range(len(scene.planes)))


@pytest.mark.parametrize("name", ["small", "deep"])
def test_no_label_lies_on_another(name: str, request: pytest.FixtureRequest) -> None:
    graph = request.getfixturevalue(name)
    scene = scene_of(graph, ax.node_strength(graph))
    labels = [label for label in labels_of(scene, frame_of(scene, 0.0)) if label.name]
    boxes = [(label.x - text_width(label.name) / 2, label.x + text_width(label.name) / 2, label.y) for label in labels]
    assert len(boxes) >= 4
    for (left, right, y), (other_left, other_right, other_y) in itertools.combinations(boxes, 2):
        assert abs(y - other_y) >= 26 or right <= other_left or other_right <= left


def test_heads_of_attention_and_steps_of_time_are_slices() -> None:
    layer = nn.TransformerEncoderLayer(8, 4, 8, batch_first=True).eval()
    graph = ax.capture(layer, torch.zeros(1, 3, 8))
    planes = {plane.group.name: plane for plane in scene_of(graph, ax.node_strength(graph)).planes}
    assert [planes[name].n_slices for name in ("self_attn", "linear1")] == [4, 3]
    head, cell = planes["self_attn"].place
    assert head.tolist() == [0, 0, 1, 1, 2, 2, 3, 3] * 3
    assert cell[:4].tolist() == [0, 1, 0, 1]


def test_a_recurrent_layer_links_to_itself() -> None:
    graph = ax.capture(nn.GRU(3, 4, batch_first=True), torch.zeros(1, 5, 3))
    scene = scene_of(graph, ax.node_strength(graph))
    assert (1, 1) in scene.arcs
    assert scene.planes[1].n_slices == 5


def test_a_plane_alone_in_its_module_has_its_own_name_and_the_title_its_numbers() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.ModuleDict({"embed": nn.Linear(4, 4)})
            self.rest = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)) for _ in range(16))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first["embed"](x)
            for part in self.rest:
                x = x + part(x)
            return x

    graph = ax.capture(Named(), torch.zeros(1, 4))
    shown = words(graph.draw().svg())
    assert any(name.endswith("embed") for name in shown)
    assert shown[:2] == ["Named", "34 groups, 136 neurons, 592 links"]


def test_the_drawing_is_small_runs_nothing_and_asks_for_nothing(deep: ax.NeuralGraph) -> None:
    svg = deep.draw().svg()
    assert len(svg) < 300_000
    assert not re.search(r"<script|\son\w+=|href|url\(", svg)
    assert ElementTree.fromstring(svg).tag == f"{SVG}svg"


def test_each_theme_has_its_colours_and_auto_has_both(small: ax.NeuralGraph) -> None:
    picture = small.draw()
    light, dark, auto = (picture.svg(theme) for theme in ("light", "dark", "auto"))
    assert "#fefefe" in light
    assert "#fefefe" not in dark
    assert "light-dark(#fefefe,#181b21)" in auto


def test_two_snapshots_share_their_scales(small: ax.NeuralGraph, tmp_path: Any) -> None:
    later = small.at({name: 3 * tensor for name, tensor in small.state.items()})
    picture = small.draw(beside=later, names=("step 0", "step 9"))
    assert {"step 0", "step 9"} <= set(words(picture.svg()))
    alone, both = (re.findall("[−\\d.]+", " ".join(words(p.svg())))[-8:] for p in (small.draw(), picture))
    assert alone != both
    wide = small.draw(beside=later, arrangement="beside").svg()
    assert 'viewBox="0 0 2560' in wide
    assert picture.write_svg(tmp_path / "two.svg").read_text("utf-8") == picture.svg()


def test_the_interactive_picture_is_a_figure_without_perspective(small: ax.NeuralGraph) -> None:
    figure = small.draw()
    assert figure.layout.scene.camera.projection.type == "orthographic"
    kinds = {trace.type for trace in figure.data}
    assert kinds == {"mesh3d", "scatter3d"}
    (mesh,) = (trace for trace in figure.data if trace.type == "mesh3d")
    assert len(mesh.x) == 4 * (1 + 4 + 20 + 3)


def test_values_of_ones_own_colour_the_cells(small: ax.NeuralGraph) -> None:
    assert "<title>3: 20, hidden; from 1 to 1" in small.draw(small.ones()).svg()
    assert "from 2 to 2" in small.draw({"3": torch.full((20,), 2.0)}).svg()
    assert "Layer fluctuation" in words(small.draw("layer_fluctuation").svg())


def test_what_cannot_be_drawn_is_refused_in_one_line(small: ax.NeuralGraph) -> None:
    with pytest.raises(
        ConfigurationError, match=r"named as in the catalogue; got 'node_strenth'. Did you mean node_strength"
    ):
        small.draw("node_strenth")
    with pytest.raises(ConfigurationError, match="a value a neuron or a group of the weights alone; got the measure"):
        small.draw("neuron_activation")
    with pytest.raises(ValuesError, match="values by the names of groups; got 'nowhere'"):
        small.draw({"nowhere": torch.ones(1)})
    with pytest.raises(ValuesError, match=r"values of group '3' have the shape \(20,\)"):
        small.draw({"3": torch.ones(7)})
    with pytest.raises(ConfigurationError, match="n_links is 0 or more; got -1"):
        small.draw(n_links=-1)


def test_names_are_text() -> None:
    model = nn.Sequential()
    model.add_module("<script>alert(1)</script>", nn.Linear(2, 2))
    model.add_module("b", nn.Linear(2, 2))
    svg = ax.capture(model, torch.zeros(1, 2)).draw().svg()
    assert "<script" not in svg
    assert "&lt;script" in svg


def test_a_network_without_finite_weights_is_drawn_too(small: ax.NeuralGraph) -> None:
    broken = small.at({name: torch.full_like(tensor, torch.nan) for name, tensor in small.state.items()})
    assert "ax-none" in broken.draw().svg()
