"""What neuron modes are told as: order statistics of the neurons of one layer, and of all layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from axonometry.showing import shown

if TYPE_CHECKING:
    import pandas as pd

MODES = ("strict", "weak", "non_preserving", "dead")
"""Modes in the order of their numbers."""

TOLERANCE = 0.01


@dataclass(frozen=True)
class Modes:
    """Order statistics of the neurons of one layer, of shape (n,); for a convolution, of its channels.

    Attributes:
        rate: Order-preserving rate, 0 to 1; NaN where all samples have one pre-activation.
        turned: Share of the comparable pairs whose order is turned round, 0 to 1; NaN as above.
        dead: Whether the activation is the same for all samples.
        saturated: Whether a bounded activation stays near its bounds.
        orientation: 1, or -1 where order is turned round as a whole: by the activation function or by a negative gain
            of the normalisation in front of it; 0 for a gain of zero, and where gains of several synapses differ.
        tolerance: How far the rate of a strict neuron may lie below 1.
    """

    rate: Float[Tensor, " n"]
    turned: Float[Tensor, " n"]
    dead: Bool[Tensor, " n"]
    saturated: Bool[Tensor, " n"]
    orientation: Int[Tensor, " n"]
    tolerance: float = TOLERANCE

    @property
    def mode(self) -> Int[Tensor, " n"]:
        """The mode of each neuron, a place in :data:`MODES`."""
        strict = torch.maximum(self.rate, self.turned) >= 1 - self.tolerance
        both = (self.rate > 0) & (self.turned > 0)
        mode = torch.where(strict, 0, torch.where(both, 2, 1))
        return torch.where(self.dead, 3, mode)

    def summary(self) -> dict[str, float]:
        """Mean rate and shares of neurons by mode.

        ``rate``, ``strict``, ``weak`` and ``non_preserving`` are of the neurons that are not dead, and NaN if all are;
        ``dead``, ``saturated`` and ``reversed`` (orientation -1) are of all.
        """
        living = self.mode[~self.dead]
        shares = {name: _mean((living == place).double()) for place, name in enumerate(MODES[:3])}
        return {
            "rate": _mean(self.rate[~self.dead].double()),
            **shares,
            "dead": _mean(self.dead.double()),
            "saturated": _mean(self.saturated.double()),
            "reversed": _mean((self.orientation < 0).double()),
        }


@dataclass(frozen=True)
class NeuronModes:
    """Modes of every layer.

    Attributes:
        groups: By group, in the order of computation.
    """

    groups: Mapping[str, Modes]

    def _repr_html_(self) -> str:
        return str(shown("modes_html", self))

    def __getitem__(self, group: str) -> Modes:
        return self.groups[group]

    def summary(self) -> pd.DataFrame:
        """One row a group: the number of its neurons (channels of a convolution), and :meth:`Modes.summary`."""
        import pandas as pd

        rows = [{"group": n, "neurons": len(m.rate), **m.summary()} for n, m in self.groups.items()]
        return pd.DataFrame(rows)

    def frame(self) -> pd.DataFrame:
        """One row a neuron (channel of a convolution): group, neuron, mode, rate, turned, saturated, orientation."""
        import pandas as pd

        tables = [
            pd.DataFrame(
                {
                    "group": name,
                    "neuron": range(len(modes.rate)),
                    "mode": np.array(MODES)[modes.mode.numpy()],
                    "rate": modes.rate.numpy(),
                    "turned": modes.turned.numpy(),
                    "saturated": modes.saturated.numpy(),
                    "orientation": modes.orientation.numpy(),
                }
            )
            for name, modes in self.groups.items()
        ]
        return pd.concat(tables, ignore_index=True)


def _mean(values: Tensor) -> float:
    return float(values.mean()) if values.numel() else float("nan")
