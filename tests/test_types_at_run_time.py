"""Wrong types and wrong shapes are found when a function is called under test, also where no axis is named."""

from __future__ import annotations

import jaxtyping
import numpy as np
import pytest
from beartype.roar import BeartypeCallHintViolation

from axonometry.files import parse_json
from axonometry.metrics.density_ratio import ratio_divergence
from axonometry.statistics import Estimate


def test_a_wrong_type() -> None:
    with pytest.raises(BeartypeCallHintViolation, match="text"):
        parse_json(3)  # type: ignore[arg-type]


def test_a_wrong_type_of_a_field() -> None:
    with pytest.raises((BeartypeCallHintViolation, jaxtyping.TypeCheckError), match="value"):
        Estimate("high", 0.0, 1.0, 3)  # type: ignore[arg-type]


def test_a_wrong_shape() -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match="ratio_divergence"):
        ratio_divergence(np.ones((2, 2)), np.ones(2))
