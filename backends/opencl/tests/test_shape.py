"""Movement and creation on the device: every index map, item size and edge of a block, on rows and on work-items."""

from __future__ import annotations

import numpy as np
import pytest

from kcore.dtypes import numpy_dtype
from kcore.graph.op import OPS
from kcore.kernels import creation, shape
from kcore.kernels.movement import moves

#: One of each item size but float32's, of which all cases are.
DTYPES = ["bool", "bfloat16", "float64"]

#: Op, what says which blocks it copies, shapes of its inputs, attributes.
CASES = [
    ("copy", shape.copy, [(3, 41)], {}),
    ("transpose", shape.transpose, [(50, 70)], {"axes": (1, 0)}),
    ("transpose", shape.transpose, [(3, 33, 20)], {"axes": (0, 2, 1)}),
    ("transpose", shape.transpose, [(17, 2, 35)], {"axes": (2, 0, 1)}),
    ("transpose", shape.transpose, [(4, 9, 3, 18)], {"axes": (0, 2, 1, 3)}),
    ("transpose", shape.transpose, [(2, 3, 4, 5, 6)], {"axes": (4, 2, 0, 3, 1)}),
    ("broadcast_to", shape.broadcast_to, [(19,)], {"shape": (7, 19)}),
    ("broadcast_to", shape.broadcast_to, [(5, 1)], {"shape": (5, 37)}),
    ("broadcast_to", shape.broadcast_to, [(2, 1, 3)], {"shape": (4, 2, 6, 3)}),
    ("slice", shape.slice_, [(9, 40)], {"start": (1, 2), "stop": (8, 39), "step": (1, 1)}),
    ("slice", shape.slice_, [(9, 40, 3)], {"start": (0, 1, 0), "stop": (9, 40, 3), "step": (2, 3, 1)}),
    ("unslice", shape.unslice, [(4, 13)], {"shape": (9, 40), "start": (1, 2), "stop": (8, 40), "step": (2, 3)}),
    ("flip", shape.flip, [(5, 37)], {"axes": (1,)}),
    ("flip", shape.flip, [(5, 4, 37)], {"axes": (0, 1)}),
    ("concatenate", shape.concatenate, [(4, 20), (4, 1), (4, 33)], {"axis": 1}),
    ("concatenate", shape.concatenate, [(2, 3)] * 70, {"axis": 0}),
    ("pad", shape.pad, [(5, 18)], {"pads": ((1, 2), (0, 3)), "value": 1.0}),
    ("slice", shape.slice_, [(4, 5)], {"start": (2, 0), "stop": (2, 5), "step": (1, 1)}),
]


@pytest.fixture
def check(target, node, compute):
    """``check(case, dtype)``: the blocks copied are what NumPy gives."""

    def check(case, dtype):
        name, blocks, shapes, attrs = case
        draw = np.random.default_rng(3)
        arrays = [draw.integers(0, 2 if dtype == "bool" else 100, s).astype(numpy_dtype(dtype)) for s in shapes]
        made = node(name, *arrays, **attrs)
        code = moves(made, blocks(made), target[1])
        (got,) = compute(target[0], made, code, *arrays)
        np.testing.assert_array_equal(got, np.asarray(OPS[name].fn(*arrays, **attrs)).astype(got.dtype))
        return code

    return check


@pytest.mark.parametrize("case", CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_elements_get_where_they_belong(case, check):
    check(case, "float32")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", [CASES[1], CASES[11], CASES[16]], ids=lambda c: c[0])
def test_every_item_size(case, dtype, check):
    check(case, dtype)


def test_nothing_is_launched_for_nothing(check):
    assert not check(CASES[-1], "float32").launches


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(-0.0, "float32"), (True, "bool"), (1e30, "float16"), (-(2**40), "int64"), (0.1, "float64")],
)  # fmt: skip
def test_full(value, dtype, target, node, compute):
    made = node("full", shape=(7, 11), value=value, dtype=dtype)
    (got,) = compute(target[0], made, moves(made, creation.full(made), target[1]))
    with np.errstate(over="ignore"):
        want = np.full((7, 11), value).astype(numpy_dtype(dtype))
    assert got.tobytes() == want.tobytes()


@pytest.mark.parametrize(("axis", "dtype"), [(0, "int32"), (1, "float16"), (2, "bool"), (1, "int64")])
def test_iota(axis, dtype, target, node, compute):
    made = node("iota", shape=(5, 20, 3), axis=axis, dtype=dtype)
    (got,) = compute(target[0], made, creation.iota_code(made, target[1]))
    np.testing.assert_array_equal(got, OPS["iota"].fn(shape=(5, 20, 3), axis=axis, dtype=dtype))


@pytest.mark.parametrize("case", [1, 4, 6])
def test_generated_text(case, intel, node, golden):
    name, blocks, shapes, attrs = CASES[case]
    made = node(name, *[np.zeros(s, np.float32) for s in shapes], **attrs)
    golden(f"{name}_{case}.cl", moves(made, blocks(made), intel.place.traits))


def test_sizes_are_arguments(intel, node):
    """Heads of every length and number are one program."""

    def key(*dims):
        made = node("transpose", np.zeros(dims, np.float32), axes=(0, 2, 1, 3))
        return moves(made, shape.transpose(made), intel.place.traits).launches[0].key

    assert key(4, 9, 3, 18) == key(2, 128, 8, 64)
