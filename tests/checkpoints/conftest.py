from tests.checkpoints.writers import written

__all__ = ["written"]
