"""Populations that are trained in the process of the test: a new one would import torch for seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest

from axonometry.errors import AxonometryError


class Inline:
    """Does the work of a pool when it is submitted, in this process."""

    def __init__(self, work: Callable[[Any], None]) -> None:
        self.work = work

    def submit(self, _: object, job: Any) -> Future[None]:
        future: Future[None] = Future()
        try:
            future.set_result(self.work(job))
        except AxonometryError as error:
            future.set_exception(error)
        return future


@contextmanager
def training_here() -> Iterator[None]:
    """For fixtures that several tests share; a test of its own asks for ``in_this_process``."""

    @contextmanager
    def pool(work: Callable[[Any], None], workers: int) -> Iterator[Inline]:
        yield Inline(work)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("axonometry.populations.workers._pool", pool)
        yield
