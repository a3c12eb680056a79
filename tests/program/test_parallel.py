"""Work on batches by several threads, each at a batch of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, strategies as st

from axonometry.program.readings.parallel import parallel_map


@given(st.integers(0, 12), st.integers(1, 5))
def test_results_come_in_order_and_a_lane_is_one_thread(n: int, lanes: int) -> None:
    found = list(parallel_map(lambda item, lane: (item, lane, threading.get_ident()), range(n), lanes))
    assert [item for item, _, _ in found] == list(range(n))
    several = lanes > 1 and n > 1
    assert [lane for _, lane, _ in found] == [i % lanes if several else 0 for i in range(n)]
    own = {threading.get_ident()}
    assert {thread for _, _, thread in found} & own == (own if n and not several else set())
    if several:
        for lane in range(lanes):
            assert len({thread for _, at, thread in found if at == lane}) <= 1


def test_lanes_work_at_once() -> None:
    meeting = threading.Barrier(3, timeout=30)
    assert list(parallel_map(lambda item, _: meeting.wait() >= 0 and item, range(6), 3)) == list(range(6))


def test_items_are_drawn_a_lane_ahead() -> None:
    drawn: list[int] = []

    def items() -> Iterator[int]:
        for i in range(20):
            drawn.append(i)
            yield i

    for i, _ in enumerate(parallel_map(lambda item, _: item, items(), 2)):
        assert len(drawn) <= i + 3


def test_the_error_of_the_first_item_is_raised_and_the_rest_is_dropped() -> None:
    begun, release = [], threading.Event()

    def work(item: int, _: int) -> int:
        begun.append(item)
        if item == 0:
            release.wait(30)
        else:
            release.set()
        raise ValueError(str(item))

    with pytest.raises(ValueError, match=r"^0$"):
        list(parallel_map(work, range(50), 2))
    assert max(begun) < 4


def test_what_torch_has_of_threads_is_left_as_it_was() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    assert set(parallel_map(lambda *_: torch.get_num_threads(), range(6), 2)) == {2}
    assert torch.get_num_threads() == 4
    fresh: list[int] = []
    thread = threading.Thread(target=lambda: fresh.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert fresh == [4]
    torch.set_num_threads(before)
