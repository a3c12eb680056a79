"""What starting costs: the import beyond torch's own, and the command line's help."""

from __future__ import annotations

import statistics
import subprocess
import sys

from benchmarks.timing import Row, compare, seconds


def starting() -> list[Row]:
    """Whole processes, in turn."""
    names = "[getattr(ax, name) for name in ax.__all__ if name != 'AccuracyPredictor']"  # which is scikit-learn's kind
    ours = [sys.executable, "-c", f"import torch, axonometry as ax; {names}"]
    torch_alone = [sys.executable, "-c", "import torch"]
    run = subprocess.check_call
    both = compare(lambda: run(ours), lambda: run(torch_alone), n=7)
    more = both.first - both.second
    help_ = [sys.executable, "-m", "axonometry", "--help"]
    times = [seconds(lambda: subprocess.run(help_, check=True, capture_output=True)) for _ in range(7)]
    shown = statistics.median(times)
    return [
        Row(
            "import of axonometry and all its names but the predictor, beyond import torch",
            f"{more:.2f} s",
            "at most 0.5 s",
            more <= 0.5,
            7,
            both.detail,
        ),
        Row("axonometry --help", f"{shown:.2f} s", "under 1 s", shown < 1, 7, "median"),
    ]
