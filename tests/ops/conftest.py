"""What tests of ops share: a comparison of one call with Keras's, in every way it can be made, and of its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from kcore import ops
from kcore.runtime import GradientTape, KerasTensor, convert_to_tensor, function

#: Step of the finite differences, and how far a gradient may be from them.
STEP, NEAR = 1e-5, 1e-6


def _replaced(args: Any, arrays: Any) -> Any:
    """The arguments with other things in the place of arrays, in order."""
    if isinstance(args, np.ndarray):
        return next(arrays)
    return type(args)(_replaced(a, arrays) for a in args) if isinstance(args, list | tuple) else args


def _arrays(args: Any) -> list[np.ndarray]:
    if isinstance(args, np.ndarray):
        return [args]
    return [a for part in args for a in _arrays(part)] if isinstance(args, list | tuple) else []


def _flat(result: Any) -> list[Any]:
    return list(result) if isinstance(result, list | tuple) else [result]


@pytest.fixture
def agrees() -> Callable[..., None]:
    """``agrees(name, *args, **kwargs)``: an op gives what Keras's gives, run by itself, compiled and symbolically.

    Args of the check: `near`, the tolerance; `dtypes` of the results where Keras's are those of NumPy and not the ones
    its symbolic call has; `expected` values where Keras's NumPy engine has none; `static` for what must know values.
    """

    def check(
        name: str,
        *args: Any,
        near: float = 2e-6,
        dtypes: Any = None,
        expected: Any = None,
        static: bool = False,
        **kwargs: Any,
    ) -> None:
        call = getattr(ops, name)
        with np.errstate(all="ignore"):
            wanted = _flat(getattr(keras.ops, name)(*args, **kwargs) if expected is None else expected)
        eager = _flat(call(*args, **kwargs))
        _same(eager, wanted, dtypes, near, f"{name}, eager")
        if static:
            return
        arrays = _arrays(args)
        traced = function(lambda *given: call(*_replaced(args, iter(given)), **kwargs))(*arrays)
        _same(_flat(traced), wanted, dtypes, near, f"{name}, compiled")
        symbols = _replaced(args, (KerasTensor(a.shape, str(a.dtype)) for a in arrays))
        for found, y in zip(_flat(call(*symbols, **kwargs)), eager, strict=True):
            assert (tuple(found.shape), found.dtype) == (tuple(y.shape), y.dtype), f"{name}, symbolic"

    return check


def _same(results: list[Any], wanted: list[Any], dtypes: Any, near: float, what: str) -> None:
    assert len(results) == len(wanted), what
    names = [str(w.dtype) for w in wanted] if dtypes is None else _flat(dtypes) * (1 if len(_flat(dtypes)) > 1 else 9)
    for y, w, dtype in zip(results, wanted, names, strict=False):
        w = np.asarray(w)
        assert (tuple(y.shape), y.dtype) == (w.shape, dtype), what
        np.testing.assert_allclose(y.numpy(), w, rtol=near, atol=near, err_msg=what)


@pytest.fixture
def differentiates() -> Callable[..., None]:
    """``differentiates(f, *arrays)``: gradients of a function of float64 arrays are those of finite differences."""

    def check(f: Callable[..., Any], *arrays: np.ndarray, near: float = NEAR) -> None:
        xs = [np.asarray(a, "float64") for a in arrays]
        rng = np.random.default_rng(0)
        weights = [rng.uniform(0.5, 1.5, y.shape) for y in _flat(f(*xs))]

        def total(*given: Any) -> Any:
            return sum(ops.sum(y * w) for y, w in zip(_flat(f(*given)), weights, strict=True))

        def gradients(*given: Any) -> Any:
            tensors = [convert_to_tensor(g) for g in given]
            with GradientTape() as tape:
                tape.watch(tensors)
                y = total(*tensors)
            return tape.gradient(y, tensors)

        for found in (gradients(*xs), function(gradients)(*xs)):
            for i, (x, g) in enumerate(zip(xs, found, strict=True)):
                direction = rng.choice([-1.0, 1.0], x.shape) * rng.uniform(0.5, 1.0, x.shape)
                sides = [total(*[x + s * STEP * direction if k == i else v for k, v in enumerate(xs)]) for s in (1, -1)]
                numeric = (sides[0].item() - sides[1].item()) / (2 * STEP)
                assert np.vdot(g.numpy(), direction) == pytest.approx(numeric, rel=near, abs=near)

    return check
