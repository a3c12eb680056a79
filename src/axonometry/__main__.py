"""``python -m axonometry`` is the command ``axonometry``."""

from axonometry.cli import main

if __name__ == "__main__":
    main()
