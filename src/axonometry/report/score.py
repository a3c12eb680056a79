"""The scalar by which a page orders its networks: accuracy, or any other that a loop recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Score:
    """A scalar of runs, and how it is written.

    Attributes:
        name: As it was recorded.
        share: Whether it is a share of 1, written in per cent.

    >>> accuracy, loss = Score(), Score("val_loss", share=False)
    >>> accuracy.text(0.925), loss.text(0.0451), loss.axis, accuracy.hover("y"), loss.hover("y")
    ('92.5%', '0.0451', 'val loss', '%{y:.2%}', '%{y:.4g}')
    """

    name: str = "accuracy"
    share: bool = True

    @classmethod
    def of(cls, name: str, values: NDArray[np.float64]) -> Score:
        """The score of a name and its values; accuracies between 0 and 1 are shares.

        >>> Score.of("val_acc", np.array([0.5, 0.9])), Score.of("accuracy", np.array([50.0, 90.0])).share
        (Score(name='val_acc', share=True), False)
        """
        finite = values[np.isfinite(values)]
        words = name.lower().replace("_", " ").replace("/", " ").split()
        named = any(word.startswith("acc") or word in ("auc", "f1") for word in words)
        return cls(name, share=named and finite.size > 0 and bool(((finite >= 0) & (finite <= 1)).all()))

    @property
    def words(self) -> str:
        """The name in prose."""
        return self.name.replace("_", " ")

    @property
    def axis(self) -> str:
        """The name of an axis."""
        return "accuracy on test data" if self.name == "accuracy" else self.words

    @property
    def tickformat(self) -> str:
        """Plotly's format of an axis."""
        return ".0%" if self.share else ""

    def hover(self, axis: str) -> str:
        """Plotly's template of a value.

        Args:
            axis: Where the value is: x or y.
        """
        return f"%{{{axis}:{'.2%' if self.share else '.4g'}}}"

    def text(self, value: float) -> str:
        """One value in words."""
        return f"{value:.1%}" if self.share else f"{value:.4g}"


ACCURACY = Score()
