"""The scales are ordered and stay apart for readers who see fewer colours."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from axonometry.report import palette

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
SEEN_BY = {
    "most": np.eye(3),
    "protanopes": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopes": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
SURFACE = dict(zip(("light", "dark"), palette.TOKENS["surface"], strict=True))


def linear(colour: str) -> np.ndarray:
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def oklab(rgb: np.ndarray) -> np.ndarray:
    to_lms = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.array(to_lab) @ np.cbrt(np.clip(np.array(to_lms) @ rgb, 0, None))


def contrast(first: str, second: str) -> float:
    dark, light = sorted(float(np.array([0.2126, 0.7152, 0.0722]) @ linear(colour)) for colour in (first, second))
    return (light + 0.05) / (dark + 0.05)


def colours(scale: palette.Scale, theme: str, count: int) -> list[str]:
    return [colour if theme == "light" else palette.DARK[colour] for colour in palette.steps(scale, count)]


@pytest.mark.parametrize("reader", SEEN_BY)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("scale", palette.SCALES)
def test_a_scale_is_ordered_by_lightness_for_every_reader(scale: palette.Scale, theme: str, reader: str) -> None:
    labs = [oklab(np.clip(SEEN_BY[reader] @ linear(colour), 0, 1)) for colour in colours(scale, theme, 7)]
    lightness = np.diff([lab[0] for lab in labs])
    assert (lightness > 0).all() or (lightness < 0).all()
    # About 0.02 is the least difference that is seen side by side.
    assert min(np.linalg.norm(a - b) for a, b in itertools.pairwise(labs)) > 0.035


@pytest.mark.parametrize("reader", SEEN_BY)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_signs_are_told_apart_by_every_reader_and_zero_stands_back(theme: str, reader: str) -> None:
    seen = [colour if theme == "light" else palette.DARK[colour] for colour in palette.diverging(7)]
    labs = [oklab(np.clip(SEEN_BY[reader] @ linear(colour), 0, 1)) for colour in seen]
    assert min(np.linalg.norm(labs[i] - labs[6 - i]) for i in range(3)) > 0.05
    assert min(np.linalg.norm(a - b) for a, b in itertools.pairwise(labs)) > 0.035
    contrasts = [contrast(colour, SURFACE[theme]) for colour in seen]
    assert contrasts[:4] == sorted(contrasts[:4], reverse=True)
    assert contrasts[3:] == sorted(contrasts[3:])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("scale", ["accuracy", "depth"])
def test_lines_stand_out_from_the_surface_and_higher_accuracy_stands_out_more(scale: palette.Scale, theme: str) -> None:
    contrasts = [contrast(colour, SURFACE[theme]) for colour in colours(scale, theme, 7)]
    assert min(contrasts) > 2
    if scale == "accuracy":
        assert contrasts == sorted(contrasts)


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("background", ["page", "surface", "raised"])
@pytest.mark.parametrize("text", ["ink", "muted", "accent"])
def test_text_is_readable_on_every_background(text: str, background: str, theme: int) -> None:
    assert contrast(palette.TOKENS[text][theme], palette.TOKENS[background][theme]) >= 4.5  # WCAG 2 AA


def test_every_light_colour_has_exactly_one_dark_counterpart() -> None:
    light = [pair[0] for pair in palette.TOKENS.values()] + [
        stop for stops in (*palette.SCALES.values(), palette.DIVERGING) for stop in stops
    ]
    assert len(light) == len(set(light)) == len(palette.DARK)
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for pair in palette.DARK.items() for colour in pair)


def test_steps_run_from_end_to_end_and_a_single_one_is_the_high_end() -> None:
    assert palette.steps("heat", 2) == ["#f0f9f9", "#183060"]
    assert palette.steps("heat", 1) == ["#183060"]
    assert palette.steps("heat", 0) == []


def test_a_faint_colour_keeps_its_name_so_that_the_page_can_replace_it() -> None:
    assert palette.shade("accuracy", 0.0, alpha=0.2) == "#ef9d3233"
    assert palette.shade("accuracy", 7.0) == palette.shade("accuracy", 1.0)


def test_the_template_uses_colours_of_the_palette_only() -> None:
    used = set(re.findall("#[0-9a-f]{6}", palette.template().to_plotly_json().__repr__()))
    assert used <= palette.DARK.keys()
