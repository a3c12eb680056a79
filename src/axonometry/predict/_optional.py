"""What the room needs beyond the package's own dependencies."""

from importlib import util

from axonometry.errors import MissingExtraError


def require_extra() -> None:
    """Say which package is missing, and how to get it.

    Raises:
        MissingExtraError: scikit-learn or skops is not installed.
    """
    for package, module in (("scikit-learn", "sklearn"), ("skops", "skops")):
        if util.find_spec(module) is None:
            missing = MissingExtraError.of(package, "predict")
            raise missing
