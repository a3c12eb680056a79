"""torchvision's names without its compiled operators.

Its wheels hold operators that only the torch they were built with can load; without them it does not even import.
Classification and segmentation call none of them: that they are declared is enough.
"""

from __future__ import annotations

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[torch.library.Library] = []


def declare() -> None:
    """Declare the operators that ``import torchvision`` asks for, where its own do not load."""
    if _declared:
        return
    try:
        import torchvision
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for schema in SCHEMAS:
            library.define(schema)
        _declared.append(library)
        import torchvision  # noqa: F401
