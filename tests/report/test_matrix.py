"""Matrices of signed values as pictures."""

from __future__ import annotations

import re

import numpy as np

from axonometry.report import palette
from axonometry.report.matrix import CELL, matrix_svg


def strokes(svg: str) -> dict[tuple[int, int], str]:
    """Row and column of every cell that is painted, and its colour, read from the picture."""
    cells: dict[tuple[int, int], str] = {}
    left = None
    for path in re.findall(r"<path[^>]*>", svg):
        colour = re.search(r'stroke="([^"]*)"', path)
        assert colour is not None
        for x, y, wide in re.findall(r"M(\d+) ([\d.]+)h(\d+)", path):
            left = int(x) if left is None else min(left, int(x))
            for j in range(int(wide) // CELL):
                cells[int(float(y)) // CELL, int(x) + CELL * j] = colour[1]
    return {(i, (x - (left or 0)) // CELL): colour for (i, x), colour in cells.items()}


def test_every_finite_cell_is_painted_in_the_colour_of_its_value() -> None:
    values = np.array([[1.0, 1.0, -1.0], [0.0, np.nan, 1.0], [-1.0, -1.0, -1.0]])
    low, middle, high = palette.DIVERGING[0], palette.DIVERGING[len(palette.DIVERGING) // 2], palette.DIVERGING[-1]
    painted = strokes(matrix_svg(["a", "b", "c"], values, value="rank correlation"))
    expected = {(0, 0): high, (0, 1): high, (0, 2): low, (1, 0): middle, (1, 2): high}
    assert painted == expected | {(2, j): low for j in range(3)}


def test_a_matrix_of_all_measures_is_a_small_picture() -> None:
    names = [f"measure_{i}.statistic" for i in range(113)]
    values = np.random.default_rng(0).uniform(-1, 1, (113, 113))  # the worst: hardly two neighbours are alike
    assert len(matrix_svg(names, values, value="rank correlation")) < 250_000
