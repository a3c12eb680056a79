r"""Depthwise kernels against templates: differences of Gaussians and their derivatives.

Kernels are compared without their mean and size: :math:`|\cos(k - \bar k, t - \bar t)|`, the best over a bank of
templates: the difference of Gaussians with standard deviations σ and 1.6 σ, its first derivatives along directions, its
second derivatives along directions, and the Gaussian itself, for a grid of σ and of directions, centred in the kernel.
A kernel is *explained* where the best is at least 0.8.

Source: Babaiee et al. 2024, arXiv 2401.14469, who find about ten such patterns in depthwise kernels by an autoencoder;
templates, grid and threshold are [our choice]. 1.6 is Marr and Hildreth's ratio (1980).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from axonometry.arguments import argument_errors
from axonometry.errors import ValuesError

EXPLAINED = 0.8
RATIO = 1.6
DIRECTIONS = 8
KINDS = ("gaussian", "difference", "first derivative", "second derivative")


@dataclass(frozen=True)
class KernelFit:
    """The best template of each kernel.

    Attributes:
        likeness: The largest |cos|, 0 of a kernel that is constant.
        kind: Number of its kind in :data:`KINDS`; -1 of a constant kernel.
        positive: Whether the kernel has the template's sign.
        coverage: Share of kernels whose likeness is at least :data:`EXPLAINED`.
        template: The best template of each, of unit norm.
    """

    likeness: Float[np.ndarray, " kernels"]
    kind: np.ndarray
    positive: np.ndarray
    coverage: float
    template: Float[np.ndarray, "kernels height width"]

    def counts(self) -> dict[str, int]:
        """How many explained kernels are of each kind and sign.

        >>> import torch
        >>> fit = fit_templates(torch.from_numpy(templates(7)[0][:1]))
        >>> fit.counts()
        {'gaussian +': 1}
        """
        there = [place for place in range(len(self.kind)) if self.likeness[place] >= EXPLAINED]
        names = [f"{KINDS[self.kind[place]]} {'+' if self.positive[place] else '-'}" for place in there]
        return {name: names.count(name) for name in sorted(set(names))}


def templates(side: int) -> tuple[Float[np.ndarray, "templates height width"], np.ndarray]:
    """The bank for kernels of one side: templates of zero mean and unit norm, and the number of each one's kind.

    Args:
        side: Height and width of the kernels, at least 3.

    Raises:
        ValuesError: Kernels are smaller.

    >>> bank, kinds = templates(7)
    >>> bank.shape[1:], sorted(set(kinds.tolist()))
    ((7, 7), [0, 1, 2, 3])
    """
    if side < 3:
        raise ValuesError("kernels that are compared with templates are 3 x 3 or larger", str(side), "")
    place = np.arange(side) - (side - 1) / 2
    y, x = np.meshgrid(place, place, indexing="ij")
    found: list[np.ndarray] = []
    kinds: list[int] = []
    for sigma in np.geomspace(0.4, side / 3, 12):
        wide, narrow = (np.exp(-(x**2 + y**2) / (2 * s**2)) / s**2 for s in (RATIO * sigma, sigma))
        found += [narrow, narrow - wide]
        kinds += [0, 1]
        for angle in np.arange(DIRECTIONS) * np.pi / DIRECTIONS:
            along = x * np.cos(angle) + y * np.sin(angle)
            # of the difference of Gaussians: g' = -u/s² g and g'' = (u²/s⁴ - 1/s²) g, for both of its parts
            found.append(along * (wide / (RATIO * sigma) ** 2 - narrow / sigma**2))
            second = [(along**2 / s**4 - 1 / s**2) * g for s, g in ((sigma, narrow), (RATIO * sigma, wide))]
            found.append(second[0] - second[1])
            kinds += [2, 3]
    bank = np.stack(found)
    bank -= bank.mean((1, 2), keepdims=True)
    return bank / np.linalg.norm(bank, axis=(1, 2), keepdims=True), np.array(kinds)


@argument_errors
def fit_templates(kernels: Float[Tensor, "*kernels height width"]) -> KernelFit:
    """The best template of every kernel of a depthwise convolution.

    Args:
        kernels: Square ones, as ``conv.weight`` holds them.

    Raises:
        ValuesError: They are not square, smaller than 3 x 3, or not finite.

    >>> import torch
    >>> kernel = -3 * torch.from_numpy(templates(5)[0][1:2]) + 7
    >>> fit = fit_templates(kernel)
    >>> round(float(fit.likeness[0]), 6), KINDS[fit.kind[0]], bool(fit.positive[0]), fit.coverage
    (1.0, 'difference', False, 1.0)
    """
    height, width = kernels.shape[-2:]
    if height != width:
        raise ValuesError("templates are of square kernels", f"{height} x {width}", "")
    if not bool(kernels.isfinite().all()):
        raise ValuesError("templates are of finite kernels", "NaN or infinite weights", "Training has diverged")
    bank, kinds = templates(height)
    flat = kernels.detach().double().cpu().numpy().reshape(-1, height * width)
    flat = flat - flat.mean(1, keepdims=True)
    sizes = np.linalg.norm(flat, axis=1, keepdims=True)
    cosines = np.divide(flat, sizes, out=np.zeros_like(flat), where=sizes > 1e-12) @ bank.reshape(len(bank), -1).T
    best = np.abs(cosines).argmax(1)
    rows = np.arange(len(flat))
    likeness = np.abs(cosines[rows, best])
    kind = np.where(sizes[:, 0] > 1e-12, kinds[best], -1)
    coverage = float((likeness >= EXPLAINED).mean()) if len(flat) else float("nan")
    return KernelFit(likeness, kind, cosines[rows, best] > 0, coverage, bank[best])
