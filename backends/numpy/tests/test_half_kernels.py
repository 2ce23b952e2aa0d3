"""Half dtypes: every op has a way to run, and what goes through float32 is rounded once."""

from __future__ import annotations

import numpy as np
import pytest

from kcore.backend import use_backend
from kcore.dtypes import numpy_dtype
from kcore.graph.op import OPS
from kcore.testing.cases import all_ops, cases
from kcore.testing.checks import check_compiled, check_eager
from kcore_numpy.kernels.halves import THROUGH_FLOAT32

HALVES = ("float16", "bfloat16")
#: The next number is another one in every dtype.
REFUSED = {"nextafter"}


@pytest.fixture(autouse=True)
def numpy_backend():
    use_backend("numpy")


@pytest.mark.parametrize("dtype", HALVES)
def test_every_sample_of_every_op_runs(dtype):
    for op in all_ops():
        if op.name in REFUSED:
            continue
        for case in cases(op, (dtype,)):
            with np.errstate(all="ignore"):
                case.op(*case.arrays(), **case.sample.attrs)


@pytest.mark.parametrize("name", sorted(REFUSED))
@pytest.mark.parametrize("dtype", HALVES)
def test_what_is_refused_says_so(name, dtype):
    op = next(op for op in OPS if op.name == name)
    case = next(iter(cases(op, (dtype,))))
    with pytest.raises(ValueError, match=f"{name}.*{dtype}"):
        case.op(*case.arrays(), **case.sample.attrs)


@pytest.mark.parametrize("name", sorted(THROUGH_FLOAT32))
def test_what_goes_through_float32_agrees_with_the_reference(name):
    op = next(op for op in OPS if op.name == name)
    for case in cases(op, tuple(sorted(THROUGH_FLOAT32[name]))):
        for check in (check_eager, check_compiled):
            assert len(list(check(case))) == 1


@pytest.mark.parametrize("dtype", HALVES)
def test_many_small_updates_of_one_slot_are_not_lost(dtype):
    updates = np.full(4096, 0.25, numpy_dtype(dtype))
    total = OPS["scatter_add"](np.zeros(4096, "int32"), updates, axis=0, size=1)
    assert float(total[0]) == 1024.0  # added one by one in the half dtype itself, it would stop long before
