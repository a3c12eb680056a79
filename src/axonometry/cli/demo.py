"""``axonometry demo``."""


def demo() -> None:
    """Later."""
