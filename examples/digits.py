"""Train a convolutional model on handwritten digits: ``python examples/digits.py``, the same as ``kcore demo``."""

from __future__ import annotations

import sys

from kcore.cli import main

if __name__ == "__main__":
    sys.exit(main(["demo", *sys.argv[1:]]))
