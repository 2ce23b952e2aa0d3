"""The conformance kit: every registered op, gradient and kernel of a backend against what the ops' declarations say.

``pytest --pyargs kcore.testing --backend NAME`` and ``kcore test-backend NAME`` run all of it; `check_op` runs one op
for the tests of a plugin, `skip_if_no_backend` keeps other packages' tests to the backends there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kcore.graph.op import Op

__all__ = ["check_op", "run", "skip_if_no_backend"]


@dataclass
class Options:
    """What the kit was asked for.

    Attributes:
        backend: name of the backend; None for the one in use.
        primitives_only: whether the kernels of composites and patterns are switched off.
        case: a glob over case ids, ``"op:sample:dtype"``; None for all.
        dtypes: dtypes to test.
    """

    backend: str | None = None
    primitives_only: bool = False
    case: str | None = None
    dtypes: tuple[str, ...] = field(default=("float32", "float64", "int32", "bool"))


#: Filled by the pytest plugin.
options = Options()


def run(backend: str, primitives_only: bool = False, select: str | None = None, arguments: Sequence[str] = ()) -> int:
    """Run the kit with pytest; returns its exit status.

    Args:
        backend: name of the backend, with a device number if wanted.
        primitives_only: whether to switch the kernels of composites and patterns off.
        select: a glob over case ids such as ``"softmax:*:float32"``; None for all.
        arguments: more arguments for pytest.
    """
    from kcore.extras import require

    pytest = require("pytest", "dev", "kcore.testing")
    command = ["--pyargs", "kcore.testing", "--backend", backend, "-p", "no:cacheprovider"]
    command += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # kcore is imported already; it has no asserts
    if primitives_only:
        command.append("--primitives-only")
    if select is not None:
        command += ["--case", select]
    return int(pytest.main([*command, *arguments]))


def check_op(op: Op | str, backend: str | None = None) -> dict[str, int]:
    """Run every check of the kit on one op, with all kernels and again with primitives only.

    Args:
        op: the op, or its name.
        backend: the backend to use; the one in use if None.

    Returns:
        How many cases each check ran.

    Raises:
        ConformanceError: something differs; the message says op, sample, dtype, largest error and how to rerun it.
    """
    from kcore.backend import use_backend
    from kcore.backend.compile import primitives_only
    from kcore.graph.op import OPS
    from kcore.testing.cases import load_ops
    from kcore.testing.runner import CHECKS, run_check

    load_ops()
    if backend is not None:
        use_backend(backend)
    wanted: Any = OPS[op] if isinstance(op, str) else op
    counts = {name: run_check(wanted, name) for name in CHECKS}
    with primitives_only():
        for name in CHECKS:
            counts[f"{name}, primitives only"] = run_check(wanted, name)
    return counts


def skip_if_no_backend(name: str) -> Any:
    """A pytest mark that skips a test, class or module where a backend, or the device named, does not answer.

    Args:
        name: as for `kcore.use_backend`, e.g. ``"opencl"`` or ``"opencl:1"``.

    Example::

        @kcore.testing.skip_if_no_backend("opencl")
        def test_on_opencl(): ...
    """
    import pytest

    from kcore.backend import is_backend_available

    return pytest.mark.skipif(not is_backend_available(name), reason=f"no kcore backend {name!r} answers here")
