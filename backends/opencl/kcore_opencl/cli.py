"""What this package adds to the ``kcore`` command: ``kcore tune``. Imports nothing of OpenCL until it runs."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kcore.plugins import Command, hookimpl

if TYPE_CHECKING:
    from kcore_opencl.tuning.measuring import Result

kcore_contract = 1


@hookimpl
def kcore_commands() -> Iterable[Command]:
    return [Command("tune", "find the fastest kernels for this OpenCL device and remember them", run, configure)]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``kcore tune``."""
    from kcore_opencl.tuning.workloads import WORKLOADS

    parser.epilog = (
        "A model of your own is tuned from Python: kcore_opencl.tune(model, batch_size). "
        "What is found is kept in the cache folder, for this device, driver and version of kcore; "
        "Ctrl-C keeps what was found so far."
    )
    parser.add_argument("--device", default="opencl", help="as for KERAS_BACKEND: opencl:1, opencl:intel, opencl:gpu")
    parser.add_argument(
        "--shapes",
        action="append",
        default=[],
        metavar="TEXT",
        help="such as 'matmul 128x784x256', 'dense 128x784x256', 'conv 32x28x28x64 3x3x64 same'; may be repeated",
    )
    parser.add_argument(
        "--workload", action="append", default=[], choices=sorted(WORKLOADS), help="a typical model; may be repeated"
    )
    parser.add_argument("--batch-size", type=int, help="of the workloads, instead of their usual one")


def run(args: argparse.Namespace) -> int:
    """Tune, and print what was found."""
    from kcore.backend import use_backend
    from kcore_opencl.tuning.tuner import tune
    from kcore_opencl.tuning.workloads import workload

    if not args.shapes and not args.workload:
        print("nothing to tune: say --workload mlp, or --shapes 'matmul 128x784x256'")
        return 2
    print(f"tuning {use_backend(args.device).device.name}")
    results: list[Result] = []
    for name in args.workload:
        model, usual = workload(name)
        results += tune(model, args.batch_size or usual)
    if args.shapes:
        results += tune(shapes=args.shapes)
    print_results(results)
    return 0


def print_results(results: Sequence[Result]) -> None:
    """Print a line per product: time by default, best time, what that is in GFLOP/s."""
    print(f"{'default us':>10} {'best us':>9} {'gain':>6} {'GFLOP/s':>8}  what")
    for r in results:
        print(f"{r.default:10.1f} {r.best:9.1f} {r.default / r.best:6.2f} {r.flops / r.best / 1e3:8.0f}  {r.key}")
