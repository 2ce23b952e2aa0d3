"""Stacking, cutting, mirroring, rolling, grids, diagonals and evenly spaced numbers beside Keras's."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import ops
from kcore.runtime import KerasTensor, function

A = np.arange(24, dtype="float32").reshape(2, 3, 4)
M = np.arange(12, dtype="int32").reshape(3, 4)
V = np.array([3, 1, 2], "int32")


@pytest.mark.parametrize("name", ["hstack", "vstack", "dstack"])
def test_stacking(name, agrees):
    agrees(name, [V, V + 1])
    agrees(name, [M, M.astype("float32")])
    agrees(name, [A, A])
    agrees(name, [np.ones((), "float32"), np.zeros((), "float32")])
    with pytest.raises(ValueError, match=f"^{name}: expected one tensor or more; received none"):
        getattr(ops, name)([])


@pytest.mark.parametrize("axis", [None, 0, -1])
def test_append(axis, agrees):
    agrees("append", M, M.astype("float32") + 5, axis=axis)
    agrees("append", V, V.astype("int8"))


@pytest.mark.parametrize("parts", [2, (1, 3), [0, 2]])
def test_cutting(parts, agrees):
    agrees("array_split", A, parts, axis=1, expected=np.array_split(A, parts, 1))
    agrees("array_split", M, 3, axis=-1)
    agrees("array_split", V, 5)
    agrees("dsplit", A, parts)
    agrees("hsplit", np.ones((3, 4), "float32"), parts)
    agrees("hsplit", np.ones(4, "float32"), parts)
    agrees("vsplit", np.ones((4, 2), "float32"), parts)


@pytest.mark.parametrize(
    ("name", "x", "text"),
    [
        ("vsplit", V, r"vsplit: expected 2 dimensions or more; received shape \(3,\)"),
        ("dsplit", M, r"dsplit: expected 3 dimensions or more; received shape \(3, 4\)"),
        ("hsplit", V, r"split: dimension 0 of shape \(3,\) cannot be cut into 2 parts"),
    ],
)
def test_what_cannot_be_cut(name, x, text):
    with pytest.raises(ValueError, match=text):
        getattr(ops, name)(x, 2)
    with pytest.raises(ValueError, match="array_split: axis 0 .* cannot be cut into 0 parts"):
        ops.array_split(V, 0)


def test_mirrors(agrees):
    agrees("fliplr", M)
    agrees("flipud", V)
    agrees("flipud", A)
    agrees("ravel", A)
    with pytest.raises(ValueError, match=r"fliplr: expected 2 dimensions or more; received shape \(3,\)"):
        ops.fliplr(V)


@pytest.mark.parametrize(
    ("shift", "axis"), [(1, None), (-5, None), (2, 1), (-1, 0), ((1, 2), (0, 1)), ((1, -1), 2), (3, (0, -1)), (30, 2)]
)
def test_roll(shift, axis, agrees):
    agrees("roll", A, shift, axis=axis)


def test_roll_of_nothing(agrees):
    agrees("roll", np.zeros((0, 2), "float32"), 1, axis=0)
    with pytest.raises(ValueError, match=r"roll: expected one shift for each axis; received shift=\(1, 2, 3\)"):
        ops.roll(A, (1, 2, 3), (0, 1))


@pytest.mark.parametrize("k", [-1, 0, 1, 2, 3, 5])
def test_rot90(k, agrees):
    agrees("rot90", M, k)
    agrees("rot90", A, k=k, axes=(2, 0))


def test_rot90_needs_a_plane():
    with pytest.raises(ValueError, match=r"rot90: expected axes to be two different axes; received \(1, 1\)"):
        ops.rot90(M, axes=(1, 1))
    with pytest.raises(ValueError, match=r"rot90: expected 2 dimensions or more; received shape \(3,\)"):
        ops.rot90(V)


@pytest.mark.parametrize("indexing", ["xy", "ij"])
def test_meshgrid(indexing, agrees):
    agrees("meshgrid", V, np.array([1.5, 2.5], "float32"), indexing=indexing)
    agrees("meshgrid", V, V[:1], V[:2], indexing=indexing)
    agrees("meshgrid", V, indexing=indexing)
    with pytest.raises(ValueError, match="meshgrid: expected indexing to be 'xy' or 'ij'; received 'yx'"):
        ops.meshgrid(V, indexing="yx")


def test_unravel_index(agrees):
    agrees("unravel_index", np.array([[0, 5], [23, 11]], "int32"), (2, 3, 4), dtypes=["int32"] * 3)
    with pytest.raises(TypeError, match="unravel_index: expected indices to hold integers"):
        ops.unravel_index(A, (2, 3))


@pytest.mark.parametrize("offset", [0, 1, -1, 3, -2, 9])
def test_diagonals(offset, agrees):
    agrees("diagonal", M, offset)
    agrees("diagonal", A, offset, axis1=2, axis2=0)
    agrees("diag", M, offset)
    agrees("diag", V, offset)
    agrees("diagflat", M.astype("float32"), offset)


def test_what_has_no_diagonal():
    with pytest.raises(ValueError, match="diagonal: axis1=0 and axis2=-2 are the same axis"):
        ops.diagonal(M, axis1=0, axis2=-2)
    with pytest.raises(ValueError, match=r"diag: expected a vector or a matrix; received shape \(2, 3, 4\)"):
        ops.diag(A)
    with pytest.raises(ValueError, match=r"diagonal: expected 2 dimensions or more; received shape \(3,\)"):
        ops.diagonal(V)


@pytest.mark.parametrize("key", [1, (slice(None), -1), (Ellipsis, None, 2), slice(None, None, -1), (0, slice(1, 3))])
def test_get_item(key, agrees):
    agrees("get_item", A, key)


def test_gradients(differentiates):
    differentiates(lambda x: ops.roll(x, 2, 1) * x, A)
    differentiates(lambda x: ops.rot90(x, axes=(0, 2)), A)
    differentiates(lambda x: ops.diagonal(x, 1), M)
    differentiates(lambda x: ops.diag(x, -1), V)
    differentiates(lambda x, y: ops.meshgrid(x, y), V, V[:2])
    differentiates(lambda x, y: ops.dstack([x, y * y]), M, M)


def test_sizes_may_be_unknown():
    x = KerasTensor((None, 4))
    assert ops.diagonal(x).shape == (None,) and ops.diag(x, 1).shape == (None,)
    assert ops.diagonal(KerasTensor((None, 3, 4)), axis1=1, axis2=2).shape == (None, 3)
    assert [g.shape for g in ops.meshgrid(x[:, 0], x[0])] == [(4, None)] * 2
    assert ops.roll(x, 1, axis=0).shape == ops.fliplr(x).shape == (None, 4)


# -- evenly spaced -----------------------------------------------------------------------------------------------------

STARTS = np.array([1.0, 2.0], "float32")


@pytest.mark.parametrize("name", ["linspace", "logspace", "geomspace"])
@pytest.mark.parametrize("endpoint", [True, False])
@pytest.mark.parametrize("num", [0, 1, 2, 7])
def test_spaces(name, num, endpoint, agrees):
    agrees(name, 1, 3, num, endpoint, dtypes="float32", near=2e-5)
    agrees(name, STARTS, np.array([[4.0], [3.0]], "float32"), num, endpoint, axis=-1, near=2e-5, dtypes="float32")
    agrees(name, 1.0, 3.0, num, endpoint, dtype="float64", near=1e-12)
    agrees(name, STARTS.astype("int32"), np.array([40, 50], "int32"), num, endpoint, dtypes="float32", near=2e-5)


def test_spaces_of_other_kinds(agrees):
    agrees("linspace", -3, 7, 5, dtype="int32")
    agrees("linspace", 0, 10, 11, dtypes="float32", near=0)
    agrees("logspace", 0, 3, 4, base=2, dtypes="float32")
    agrees("geomspace", -1.0, -1000.0, 4, dtypes="float32", near=1e-5)
    values, step = ops.linspace(STARTS, 5.0, 3, retstep=True)
    np.testing.assert_array_equal(values.numpy(), np.linspace(STARTS, 5.0, 3))
    assert step.numpy().tolist() == [2.0, 1.5]
    assert function(lambda: ops.linspace(0, 1, 3))().numpy().tolist() == [0.0, 0.5, 1.0]
    with pytest.raises(ValueError, match="geomspace: expected num to be 0 or more; received -1"):
        ops.geomspace(1, 2, -1)
    with pytest.raises(TypeError, match="logspace: expected num to be an integer; received 2.5"):
        ops.logspace(1, 2, 2.5)


def test_a_gradient_reaches_both_ends(differentiates):
    differentiates(lambda a, b: ops.linspace(a, b, 5), STARTS, STARTS + 2)
    differentiates(lambda a, b: ops.logspace(a, b, 3, base=2.0), STARTS, STARTS + 2)
    differentiates(lambda a, b: ops.geomspace(a, b, 4), STARTS, STARTS + 2)


@pytest.mark.parametrize("k", [-1, 0, 2])
def test_triangles(k, agrees):
    agrees("tri", 3, 4, k, static=True)
    agrees("tri", 3, k=k, dtype="int32", static=True)


def test_plain_tensors(agrees):
    agrees("identity", 3, static=True)
    agrees("identity", 2, dtype="bool", static=True)
    agrees("empty_like", M, expected=M * 0)
    agrees("empty_like", M, dtype="float16", expected=(M * 0).astype("float16"))
    assert (ops.empty((2, 3)).dtype, ops.empty((2,), "int8").dtype) == ("float32", "int8")


@pytest.mark.parametrize("increasing", [True, False])
def test_vander(increasing, agrees):
    for x in (V, V.astype("float32") - 2, np.zeros(0, "float32")):
        agrees("vander", x, increasing=increasing)
        agrees("vander", x, 5, increasing)
    agrees("vander", V, 0)


def test_vander_differentiates_at_zero(differentiates):
    differentiates(lambda x: ops.vander(x, 4), np.array([0.0, 1.5, -2.0]))
    with pytest.raises(ValueError, match=r"vander: expected a vector; received shape \(3, 4\)"):
        ops.vander(M)
