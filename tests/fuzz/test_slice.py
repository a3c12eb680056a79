"""A short slice of the fuzzer, from the seed 0 on; ``make fuzz`` runs the whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS
from tests.fuzz.trial import try_case

COUNTS = {"checkpoints": 30, "runs": 20, "predictors": 30, "configurations": 60, "arguments": 60}
"""Cases of each target; that of other libraries' formats takes a minute to be prepared."""


@pytest.mark.filterwarnings("ignore")  # numpy and skops warn of what they meet in damaged files
@pytest.mark.parametrize("target", COUNTS)
def test_damaged_inputs_are_told_in_one_line(target: str, tmp_path: Path) -> None:
    TARGETS[target].prepare(tmp_path)
    found = [try_case(target, seed, tmp_path) for seed in range(COUNTS[target])]
    assert [(one.seed, one.words, one.fault) for one in found if one.fault] == []
    assert {one.target for one in found} == {target}
