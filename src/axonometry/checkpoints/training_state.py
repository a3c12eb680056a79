"""What training scripts save beside the weights, by its keys."""

from __future__ import annotations

TRAINING_STATE = ("optim", "opt_state", "sched", "rng", "scaler", "callbacks", "loops", "random_state", "loss_scale")
"""Parts of the keys under which training scripts put what is no weight but has numbers."""


def names_training_state(key: str) -> bool:
    """Whether a key is one of those that lead to the state of optimizers and the like.

    >>> names_training_state("optimizer_state_dict"), names_training_state("model")
    (True, False)
    """
    return any(part in key.lower() for part in TRAINING_STATE)
