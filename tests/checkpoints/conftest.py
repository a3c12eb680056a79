from tests.checkpoints.writers import written
from tests.cli.conftest import run

__all__ = ["run", "written"]
