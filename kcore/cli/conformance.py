"""``kcore test-backend NAME``: the conformance kit, run by pytest."""

from __future__ import annotations

import argparse

from kcore.backend import backend_of
from kcore.extras import require


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("name", help="the backend")
    parser.add_argument("--primitives-only", action="store_true", help="switch the kernels of all composites off")
    parser.add_argument("pytest", nargs=argparse.REMAINDER, help="what follows -- goes to pytest")


def run(args: argparse.Namespace) -> int:
    """Run the kit; the exit status is pytest's."""
    require("pytest", "dev", "kcore test-backend")
    from kcore import testing

    backend_of(args.name.partition(":")[0])  # a readable error before pytest starts
    # argparse leaves options that follow the name among the rest; pytest knows --primitives-only too
    return testing.run(args.name, args.primitives_only, arguments=[a for a in args.pytest if a != "--"])
