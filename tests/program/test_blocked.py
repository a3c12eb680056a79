"""Products with large matrices, block by block, are those with the matrix written out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from axonometry.program import blocked as blocks
from axonometry.program.blocked import SMALL, BlockedLinks, BlockedMatrix, blocked
from axonometry.program.links import Links, absolute, presence, square

if TYPE_CHECKING:
    from axonometry.program.links import Map

MAPS: list[tuple[Map, ...]] = [(), (absolute,), (square,), (absolute, presence)]


@pytest.fixture(params=[1, 7, 13, 64])
def rows_of_a_block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that divide the rows, that do not, and one that is larger than all."""
    monkeypatch.setattr(blocks, "BLOCK", request.param * 9)


def of_half(rows: int, columns: int) -> Tensor:
    weights = torch.randn(rows, columns, generator=torch.Generator().manual_seed(0)).bfloat16()
    weights[3] = 0
    return weights


@pytest.mark.usefixtures("rows_of_a_block")
@pytest.mark.parametrize("maps", MAPS)
def test_products_and_sums_are_those_of_the_matrix(maps: tuple[Map, ...]) -> None:
    weights = of_half(26, 9)
    matrix, expected = blocked(weights, maps, torch.float32), Links(maps)(weights)
    x, y, bias = torch.rand(2, 3, 9), torch.rand(2, 3, 26), torch.rand(26)
    torch.testing.assert_close(torch.ops.aten.linear(x, matrix, bias), x @ expected.T + bias)
    torch.testing.assert_close(torch.nn.functional.linear(x[0, 0], matrix), x[0, 0] @ expected.T)
    torch.testing.assert_close(y @ matrix, y @ expected)
    torch.testing.assert_close(matrix.sum(0), expected.sum(0))
    torch.testing.assert_close(matrix.sum((1,), dtype=torch.float32), expected.sum(1))
    torch.testing.assert_close(weights, of_half(26, 9), rtol=0, atol=0)


def test_all_else_is_of_the_matrix_written_out() -> None:
    weights = of_half(5, 9)
    matrix, expected = blocked(weights, (absolute,), torch.float32), weights.float().abs()
    assert (matrix.dtype, matrix.shape, len(matrix), matrix.numel()) == (torch.float32, (5, 9), 5, 45)
    torch.testing.assert_close(matrix.T, expected.T)
    torch.testing.assert_close(matrix * (matrix != 0), expected)
    torch.testing.assert_close(torch.einsum("ij,bj->bi", matrix, torch.ones(1, 9)), expected.sum(1)[None])
    torch.testing.assert_close(matrix.sum(0, keepdim=True), expected.sum(0, keepdim=True))
    torch.testing.assert_close(matrix.sum(0, dtype=torch.float64), expected.double().sum(0))
    assert type(matrix.mean()) is Tensor


def test_what_is_differentiated_keeps_its_gradient() -> None:
    matrix = blocked(of_half(5, 9), (), torch.float32)
    x = torch.rand(2, 9, requires_grad=True)
    torch.nn.functional.linear(x, matrix).sum().backward()
    torch.testing.assert_close(x.grad, of_half(5, 9).float().sum(0).expand(2, 9))


def test_large_matrices_alone_are_read_in_blocks() -> None:
    side = int(SMALL**0.5) + 1
    large, small = torch.ones(side, side, dtype=torch.float16), torch.ones(3, 3, dtype=torch.float16)
    assert isinstance(BlockedLinks()(large), BlockedMatrix)
    assert type(BlockedLinks()(small)) is Tensor
    assert type(BlockedLinks()(large.float())) is Tensor
    assert isinstance(BlockedLinks((absolute,))(large.float()), BlockedMatrix)
    assert type(BlockedLinks()(large.T[:, 1:])) is Tensor
