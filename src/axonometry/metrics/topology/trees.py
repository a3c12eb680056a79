"""Spanning trees of dense graphs without a list of links: Prim's algorithm, a vector operation for each node.

Worked, the layer of two inputs (rows) and two outputs with the weights ``[[0.5, 1], [0.25, 0.75]]``. Begin at input 0;
the best link to each output is then 0.5 and 1. Take output 1 (1). From there input 1 is reached by 0.75, more than the
0.5 of output 0: take it; its 0.25 to output 0 is less than 0.5: take output 0 by 0.5. The tree is 1, 0.75, 0.5.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def bipartite_tree(weights: Float[np.ndarray, "inputs outputs"]) -> Float[np.ndarray, " links"]:
    """The weights of the maximum spanning tree between all inputs and all outputs, in descending order.

    Memory is that of two copies of the weights, time that of reading them once and of inputs + outputs searches for
    the largest of a vector.

    Args:
        weights: 0 or more, finite; a link of weight 0 is one.

    Returns:
        inputs + outputs - 1 numbers.

    >>> bipartite_tree(np.array([[0.5, 1.0], [0.25, 0.75]]))
    array([1.  , 0.75, 0.5 ])
    """
    n, m = weights.shape
    if not n or not m:
        return np.zeros(max(n + m - 1, 0), weights.dtype)
    rows, columns = np.ascontiguousarray(weights), np.ascontiguousarray(weights.T)
    found = np.empty(n + m - 1, weights.dtype)
    # The best link from the tree to each node, inputs first; -1 of those that are in it, so that none is taken twice.
    best, closed = np.full(n + m, -1, weights.dtype), np.zeros(n + m, bool)
    inputs, outputs = best[:n], best[n:]
    closed_inputs, closed_outputs = closed[:n], closed[n:]
    node = 0
    for place in range(n + m):
        if place:
            node = int(best.argmax())
            found[place - 1] = best[node]
        best[node], closed[node] = -1, True
        if node < n:
            np.maximum(outputs, rows[node], out=outputs)
            outputs[closed_outputs] = -1
        else:
            np.maximum(inputs, columns[node - n], out=inputs)
            inputs[closed_inputs] = -1
    return np.sort(found)[::-1]


def complete_tree(distances: Float[np.ndarray, "n n"]) -> Float[np.ndarray, " links"]:
    """The lengths of the minimum spanning tree of points, from all their distances, in ascending order.

    >>> complete_tree(np.array([[0.0, 1.0, 3.0], [1.0, 0.0, 2.0], [3.0, 2.0, 0.0]]))
    array([1., 2.])
    """
    n = len(distances)
    found = np.empty(max(n - 1, 0))
    best = np.full(n, np.inf)
    closed = np.zeros(n, bool)
    node = 0
    for place in range(n - 1):
        closed[node] = True
        np.minimum(best, distances[node], out=best)
        best[closed] = np.inf
        node = int(best.argmin())
        found[place] = best[node]
    return np.sort(found)


def max_min_product(
    first: Float[np.ndarray, "inputs middle"], second: Float[np.ndarray, "middle outputs"]
) -> Float[np.ndarray, "inputs outputs"]:
    r"""The widest way from each input to each output: max over k of min(A_ik, B_kj).

    One middle node after the other, in memory of the result's size.

    >>> max_min_product(np.array([[0.9, 0.2], [0.4, 0.6]]), np.array([[0.5, 0.8], [1.0, 0.1]]))
    array([[0.5, 0.8],
           [0.6, 0.4]])
    """
    found = np.full((first.shape[0], second.shape[1]), -np.inf)
    scratch = np.empty_like(found)
    for column, row in zip(first.T, second, strict=True):
        np.minimum(column[:, None], row[None, :], out=scratch)
        np.maximum(found, scratch, out=found)
    return found
