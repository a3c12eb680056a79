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
_PLAIN = ("accuracy", "loss")


class ScalarNames:
    """Names of one training's scalars: validation's are ``accuracy`` and ``loss``, training's ``train_accuracy`` etc.

    What a scalar was called once, it is called to the end: a name that meant the loss of training at the steps before
    the first validation does not become that of validation.

    Args:
        plain_is_training: Whether the library means training by a plain ``loss``; by default where one of validation
            came with it or before it.

    >>> names = ScalarNames()
    >>> names.scalars({"loss": 0.9, "val_loss": 0.8, "val_acc": 0.5, "lr/group": 0.1})
    {'train_loss': 0.9, 'loss': 0.8, 'accuracy': 0.5, 'lr_group': 0.1}
    >>> later = ScalarNames()
    >>> later.scalars({"loss": 0.9}), later.scalars({"loss": 0.7, "val_loss": 0.8})
    ({'loss': 0.9}, {'loss': 0.7, 'val_loss': 0.8})
    """

    def __init__(self, *, plain_is_training: bool | None = None) -> None:
        self._plain_is_training = plain_is_training
        self._here: dict[str, str] = {}

    def here(self, names: Iterable[str]) -> dict[str, str]:
        """The name here by the name there; no two are alike.

        Args:
            names: What is called something in the other library.
        """
        there = list(names)
        # Whatever comes first: validation chooses first, and a plain name last, since train_loss may be there as well.
        for name in sorted((name for name in there if name not in self._here), key=_turn):
            wanted = VALIDATION.get(name) or (f"train_{name}" if self._is_training(name) else name.replace("/", "_"))
            taken = set(self._here.values())
            self._here[name] = next(one for one in (wanted, name, f"logged_{name}") if one not in taken)
        return {name: self._here[name] for name in there}

    def scalars(self, logged: Mapping[str, Any]) -> dict[str, Any]:
        """What was logged, under the names here.

        >>> ScalarNames(plain_is_training=True).scalars({"loss": 0.2})
        {'train_loss': 0.2}
        """
        names = self.here(logged)
        return {names[name]: value for name, value in logged.items()}

    def _is_training(self, name: str) -> bool:
        if name not in _PLAIN or self._plain_is_training is not None:
            return name in _PLAIN and bool(self._plain_is_training)
        return name in self._here.values()


def _turn(name: str) -> int:
    return 0 if name in VALIDATION else 2 if name in _PLAIN else 1
