"""Every registered op on the backend: values, memory, gradients; and that no op is left out."""

from __future__ import annotations

import pytest

from kcore.graph.op import Op
from kcore.testing.cases import all_ops
from kcore.testing.runner import exemption, run_check

OPS = all_ops()
every_op = pytest.mark.parametrize("op", OPS, ids=[op.name for op in OPS])


def _run(op: Op, check: str, request: pytest.FixtureRequest) -> None:
    reason = exemption(op, check)
    if reason is not None:
        return  # listed, with the reason, in the summary
    count = run_check(op, check)
    request.node.user_properties.append(("kcore", f"{check}|{op.name}|{count}"))


@every_op
def test_is_covered(op: Op) -> None:
    """An op has samples, or is known to be run by another test."""
    assert op.samples or exemption(op, "eager"), (
        f"op {op.name!r} of {op.__module__} has no samples: give it `samples=[sample((3, 4)), ...]` in its declaration"
    )


@every_op
def test_compiled(op: Op, request: pytest.FixtureRequest) -> None:
    _run(op, "compiled", request)


@every_op
def test_eager(op: Op, request: pytest.FixtureRequest) -> None:
    _run(op, "eager", request)


@every_op
def test_gradient(op: Op, request: pytest.FixtureRequest) -> None:
    _run(op, "gradient", request)


@every_op
def test_second_gradient(op: Op, request: pytest.FixtureRequest) -> None:
    _run(op, "second_gradient", request)
