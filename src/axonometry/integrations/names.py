"""What scalars are called in other libraries, and here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

VALIDATION = {
    **dict.fromkeys(
        ("val_acc", "val_accuracy", "valid_acc", "valid_accuracy", "eval_acc", "eval_accuracy"), "accuracy"
    ),
    **dict.fromkeys(("val_loss", "valid_loss", "eval_loss"), "loss"),
}
"""Of validation: prediction and pages look for these two."""


def names_here(names: Iterable[str], *, plain_is_training: bool | None = None) -> dict[str, str]:
    """Validation accuracy and loss are ``accuracy`` and ``loss`` here, those of training ``train_accuracy`` and so on.

    Args:
        names: What is called something in the other library.
        plain_is_training: Whether the library means training by a plain ``loss``; by default where there is one of
            validation beside it.

    Returns:
        The name here by the name there; no two are alike.

    >>> names_here(["loss", "val_loss", "val_acc", "lr/group"])
    {'loss': 'train_loss', 'val_loss': 'loss', 'val_acc': 'accuracy', 'lr/group': 'lr_group'}
    >>> names_here(["loss", "lr"])
    {'loss': 'loss', 'lr': 'lr'}
    """
    there = list(names)
    validated = {VALIDATION[name] for name in there if name in VALIDATION}
    found: dict[str, str] = {}
    for name in there:
        plain = name in ("accuracy", "loss")
        training = plain and (name in validated if plain_is_training is None else plain_is_training)
        wanted = VALIDATION.get(name, f"train_{name}" if training else name.replace("/", "_"))
        # Where two would be one, such as val_acc beside val_accuracy, the later one keeps its own.
        found[name] = wanted if wanted not in found.values() else name
    return found


def scalars_here(logged: Mapping[str, Any], *, plain_is_training: bool | None = None) -> dict[str, Any]:
    """What was logged, under :func:`names_here`.

    >>> scalars_here({"eval_accuracy": 0.9, "eval_loss": 0.3, "loss": 0.2}, plain_is_training=True)
    {'accuracy': 0.9, 'loss': 0.3, 'train_loss': 0.2}
    """
    names = names_here(logged, plain_is_training=plain_is_training)
    return {names[name]: value for name, value in logged.items()}
