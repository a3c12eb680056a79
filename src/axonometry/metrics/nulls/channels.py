"""Other links for a channel graph, block by block: in another order, with the degrees or the strengths kept.

A block holds all links from one group of channels to another. Blocks stay apart, so that a layered graph stays layered.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from axonometry.errors import ConvergenceError
from axonometry.metrics.nulls.weights import permuted

Array = NDArray[np.float64]
_ROUNDS = 10_000
_CLOSE = 1e-10


def permuted_block(block: Tensor, generator: torch.Generator) -> Tensor:
    """The same links in another order."""
    return permuted(block.reshape(-1), generator).view(block.shape)


def of_same_degrees(block: Tensor, generator: torch.Generator) -> Tensor:
    """Links rewired, with as many from and to every channel as before, their weights permuted.

    Pairs of rows trade the targets that only one of them has (the curveball algorithm), five trades a row. Where every
    pair of channels is linked, only weights change places.

    Source: Strona et al. 2014, "A fast and unbiased procedure to randomize ecological binary matrices".

    >>> block = torch.tensor([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]])
    >>> drawn = of_same_degrees(block, torch.Generator().manual_seed(0)) != 0
    >>> drawn.sum(0).tolist(), drawn.sum(1).tolist()
    ([1, 1, 1], [2, 1])
    """
    there = (block != 0).cpu().numpy()
    seed = int(torch.randint(2**62, (), generator=generator))
    if not there.all() and len(there) > 1:
        there = _traded(there, np.random.default_rng(seed))
    found = torch.zeros_like(block)
    found[torch.from_numpy(there).to(block.device)] = permuted(block[block != 0], generator)
    return found


def of_same_strengths(block: Tensor, generator: torch.Generator) -> Tensor:
    """Other weights on the same links, with the same sums of rows and columns.

    The weights are permuted among the links, then rows and columns are scaled in turns until the sums are those of
    before (iterative proportional fitting): of all weights with these sums, those closest to the permuted ones in
    relative entropy. In-strengths and out-strengths are exact to a ten-thousand-millionth.

    Raises:
        ConvergenceError: Sums are not reached, as where links are negative.

    >>> block = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    >>> drawn = of_same_strengths(block, torch.Generator().manual_seed(1))
    >>> [round(x, 9) for x in (*drawn.sum(0).tolist(), *drawn.sum(1).tolist())]
    [4.0, 6.0, 3.0, 7.0]
    """
    goal = block.double().cpu().numpy()
    if (goal < 0).any():
        rule, remedy = "strengths are fitted by scaling links, none of which is negative", "Take channels of norms"
        raise ConvergenceError(rule, "negative links", remedy)
    drawn = np.zeros_like(goal)
    places = goal > 0
    drawn[places] = permuted(torch.from_numpy(goal[places]), generator).numpy()
    fitted = _fitted(drawn, goal.sum(0), goal.sum(1))
    return torch.from_numpy(fitted).to(block)


def _fitted(matrix: Array, columns: Array, rows: Array) -> Array:
    for _ in range(_ROUNDS):
        matrix = matrix * _ratio(columns, matrix.sum(0))
        found = matrix.sum(1)
        if np.abs(found - rows).max(initial=0) <= _CLOSE * rows.max(initial=1e-300):
            return matrix
        matrix = matrix * _ratio(rows, found)[:, None]
    came = f"sums that are {np.abs(matrix.sum(1) - rows).max():.1e} away"
    raise ConvergenceError(f"strengths are reached after {_ROUNDS:,} rounds", came, "Use the null model 'degrees'")


def _ratio(wanted: Array, found: Array) -> Array:
    return np.divide(wanted, found, out=np.zeros_like(wanted), where=found > 0)


def _traded(there: NDArray[np.bool_], chance: np.random.Generator) -> NDArray[np.bool_]:
    """Rows trade the columns that only one of the two has; how many each has stays."""
    there = there.copy()
    for _ in range(5 * len(there)):
        one, other = chance.choice(len(there), 2, replace=False)
        # Rows 1 0 1 1 and 0 1 1 0 differ in the columns 0, 1 and 3, of which the first row has two: any two of the
        # three are its own afterwards, and the other row has the third. Column sums cannot change, since each is given
        # to one of the two.
        apart = np.flatnonzero(there[one] != there[other])
        mine = chance.permutation(apart)[: int(there[one, apart].sum())]
        there[one, apart], there[other, apart] = False, True
        there[one, mine], there[other, mine] = True, False
    return there
