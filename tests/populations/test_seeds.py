"""Independent random streams."""

from __future__ import annotations

import torch
from hypothesis import given, strategies as st

from axonometry.populations.seeds import derive, generator

PARTS = st.tuples(st.integers(0, 10**6), st.lists(st.one_of(st.text(max_size=4), st.integers(0, 9)), max_size=3))


@given(PARTS, PARTS)
def test_streams_are_equal_exactly_where_seed_and_purpose_are(
    one: tuple[int, list[str | int]], other: tuple[int, list[str | int]]
) -> None:
    same = derive(one[0], *one[1]) == derive(other[0], *other[1])
    assert same == (one == other and [type(p) for p in one[1]] == [type(p) for p in other[1]])


def test_a_text_is_not_a_number() -> None:
    assert derive(1, "2") != derive(1, 2)
    assert derive(1, "a", "b") != derive(1, "ab")


def test_the_streams_of_a_seed_never_change() -> None:
    # Runs on disk are continued with these: another derivation would break them.
    assert derive(0) == 5254295370254170289
    assert derive(3, "order", 7) == 5691991262430957191


def test_generators_repeat_and_differ() -> None:
    def draw(*parts: int | str) -> list[float]:
        return torch.rand(3, generator=generator(1, *parts)).tolist()

    assert draw("a") == draw("a")
    assert draw("a") != draw("b")


def test_neighbouring_seeds_are_unrelated() -> None:
    numbers = torch.tensor([derive(seed, "x") / 2**63 for seed in range(4000)], dtype=torch.float64)
    assert abs(float(numbers.mean()) - 0.5) < 0.02
    assert abs(float(torch.corrcoef(torch.stack([numbers[:-1], numbers[1:]]))[0, 1])) < 0.05
