"""Promotion is that of Keras 3, for every pair and triple of dtypes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kcore import config, dtypes

keras = pytest.importorskip("keras")
reference = pytest.importorskip("keras.src.backend.common.dtypes")

ARGUMENTS = [*dtypes.ITEMSIZE, bool, int, float]


@pytest.fixture
def keras_with_64_bits(monkeypatch):
    """Keras as it promotes with TensorFlow, where 64-bit dtypes stay."""
    monkeypatch.setattr(reference, "BIT64_TO_BIT32_DTYPE", {})


def test_pairs_and_triples_promote_as_in_keras(keras_with_64_bits):
    wrong = [
        (args, ours, theirs)
        for count in (1, 2, 3)
        for args in itertools.product(ARGUMENTS, repeat=count)
        if (ours := dtypes.result_type(*args)) != (theirs := reference.result_type(*args))
    ]
    assert not wrong, f"{len(wrong)} promotions differ (arguments, kcore, Keras): {wrong[:10]}"


def test_what_keras_folds_to_32_bits_differs_in_width_only():
    fold = {"int64": "int32", "uint64": "uint32", "float64": "float32"}
    for args in itertools.product(ARGUMENTS, repeat=2):
        ours = dtypes.result_type(*args)
        assert fold.get(ours, ours) == keras.backend.result_type(*args), args


@pytest.mark.parametrize("floatx", ["float16", "float32", "float64"])
def test_weak_scalars_follow_floatx(floatx, keras_with_64_bits):
    before, theirs_before = config.floatx(), keras.config.floatx()
    config.set_floatx(floatx)
    keras.config.set_floatx(floatx)
    try:
        for args in itertools.product([*ARGUMENTS, None], repeat=2):
            assert dtypes.result_type(*args) == reference.result_type(*args), args
        assert dtypes.result_type() == floatx
    finally:
        config.set_floatx(before)
        keras.config.set_floatx(theirs_before)


@pytest.mark.parametrize(
    "dtype", ["float32", np.float64, np.dtype("int8"), float, int, bool, None, "bfloat16", np.bool_, "int", np.uint16]
)
def test_names_are_those_of_keras(dtype):
    assert dtypes.standardize_dtype(dtype) == keras.backend.standardize_dtype(dtype).replace("bool_", "bool")


@pytest.mark.parametrize("dtype", ["float33", "", object(), np.dtype("datetime64[s]"), "str"])
def test_what_is_no_dtype_is_an_error_that_lists_them(dtype):
    with pytest.raises(ValueError, match="is not a dtype; expected one of bool, uint8"):
        dtypes.standardize_dtype(dtype)
    with pytest.raises(ValueError, match="is not a dtype"):
        dtypes.result_type("float32", dtype)


def test_ranges_are_those_of_numpy():
    for name in dtypes.INTS:
        info = np.iinfo(name)
        assert dtypes.int_range(name) == (info.min, info.max)
    for name in ("float16", "float32", "float64"):
        floats = np.finfo(name)
        assert dtypes.float_range(name) == (float(floats.tiny), float(floats.max), float(floats.eps))


def test_bfloat16_range_and_numpy_dtype():
    import ml_dtypes

    info = ml_dtypes.finfo(ml_dtypes.bfloat16)
    assert dtypes.float_range("bfloat16") == (float(info.tiny), float(info.max), float(info.eps))
    assert dtypes.numpy_dtype("bfloat16") == np.dtype(ml_dtypes.bfloat16)


def test_itemsizes_are_those_of_numpy():
    assert {n: dtypes.numpy_dtype(n).itemsize for n in dtypes.ITEMSIZE} == dtypes.ITEMSIZE


def test_kinds():
    for name in dtypes.ITEMSIZE:
        assert dtypes.is_int(name) == keras.backend.is_int_dtype(name), name
    assert [d for d in dtypes.ITEMSIZE if dtypes.is_float(d)] == ["bfloat16", "float16", "float32", "float64"]
    assert [d for d in dtypes.ITEMSIZE if dtypes.is_unsigned(d)] == ["uint8", "uint16", "uint32", "uint64"]
