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
    pytest = require("pytest", "dev", "kcore test-backend")
    backend_of(args.name)  # a readable error before pytest starts
    options = ["--pyargs", "kcore.testing", "--backend", args.name, "-p", "no:cacheprovider"]
    if args.primitives_only:
        options.append("--primitives-only")
    rest = args.pytest[1:] if args.pytest[:1] == ["--"] else args.pytest
    return int(pytest.main([*options, *rest]))
