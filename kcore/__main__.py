"""``python -m kcore``: the same as the ``kcore`` command."""

from __future__ import annotations

import sys

from kcore.cli import main

if __name__ == "__main__":
    sys.exit(main())
