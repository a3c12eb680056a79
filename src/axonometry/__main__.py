"""``python -m axonometry`` is the command ``axonometry``."""

import sys

from axonometry.cli import main

if __name__ == "__main__":
    sys.exit(main())
