"""What is fitted for one number of known epochs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from axonometry.predict.ensemble import Ensemble


@dataclass(frozen=True)
class Horizon:
    """What was fitted for one number of known epochs.

    Attributes:
        views: Places of the columns that each view looks at.
        ensemble: What was learned.
    """

    views: tuple[Int[np.ndarray, " _"], ...]
    ensemble: Ensemble

    def look(self, values: Float[np.ndarray, "rows columns"]) -> list[Float[np.ndarray, "rows _"]]:
        """The columns of each view."""
        return [values[:, view] for view in self.views]

    @property
    def n_columns(self) -> int:
        """How many columns are looked at."""
        return len(np.unique(np.concatenate(self.views)))
