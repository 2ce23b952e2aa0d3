"""``kcore run``: a script written for Keras, unchanged, on kcore."""

from __future__ import annotations

import argparse
import runpy
import sys
import traceback
import warnings
from pathlib import Path

from kcore.cli import SHOW_WARNING
from kcore.compat import install
from kcore.errors import KcoreError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--backend", help="as for KERAS_BACKEND: numpy, opencl, opencl:intel, cuda, ...")
    parser.add_argument("script", type=Path, help="a Python file that imports keras, tensorflow.keras or plaidml.keras")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what the script finds behind its name")


def run(args: argparse.Namespace) -> int:
    """Run the script as the main program; what it raises goes to its user as it would without kcore."""
    if not args.script.is_file():
        raise KcoreError(f"there is no file {str(args.script)!r} to run")
    if args.backend:
        from kcore.backend import use_backend

        use_backend(args.backend)
    install()
    sys.argv = [str(args.script), *args.arguments]
    sys.path.insert(0, str(args.script.resolve().parent))
    with warnings.catch_warnings():
        warnings.showwarning = SHOW_WARNING
        try:
            runpy.run_path(str(args.script), run_name="__main__")
        except KcoreError:  # the command line would print it without the line it comes from
            traceback.print_exc()
            return 1
    return 0
