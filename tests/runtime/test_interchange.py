"""Tensors and other packages: DLPack out of every backend, and arrays that say where they lie on the way in."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import ops


class Elsewhere:
    """An array of another package on a device of its own."""

    def __init__(self, values):
        self.values = values

    def __dlpack_device__(self):
        return 99, 0

    def __dlpack__(self, **options):
        raise AssertionError("nobody may read it: it lies elsewhere")

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)

    @property
    def shape(self):
        return self.values.shape

    @property
    def dtype(self):
        return self.values.dtype


class OnAnotherDevice(Elsewhere):
    """An array that NumPy may not read by itself, as those of CuPy and torch on a GPU."""

    def __dlpack__(self, *, dl_device=None, copy=None, **options):
        assert dl_device == (1, 0) and copy
        return self.values.__dlpack__(**options)

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed")


def test_what_lies_on_a_device_that_is_not_in_use_comes_by_dlpack():
    there = OnAnotherDevice(np.arange(3.0, dtype="float32"))
    np.testing.assert_array_equal(ops.convert_to_tensor(there).numpy(), [0, 1, 2])
    np.testing.assert_array_equal(kcore.function(lambda x: x + 1.0)(there).numpy(), [1, 2, 3])


def test_dlpack_gives_a_copy_of_a_tensor_on_the_host():
    tensor = ops.convert_to_tensor(np.arange(4.0, dtype="float32"))
    there = np.from_dlpack(tensor)
    np.testing.assert_array_equal(there, [0, 1, 2, 3])
    there = there if there.flags.writeable else there.copy()
    there[:] = 7
    np.testing.assert_array_equal(tensor.numpy(), [0, 1, 2, 3])


def test_a_tensor_on_the_host_has_no_cuda_interface():
    assert not hasattr(ops.ones((2,)), "__cuda_array_interface__")


def test_arrays_of_other_packages_are_arguments_of_a_function():
    double = kcore.function(lambda x: x * 2.0)
    for _ in range(2):
        np.testing.assert_array_equal(double(Elsewhere(np.ones(3, "float32"))).numpy(), [2, 2, 2])
    assert double.traces == 1


@pytest.mark.parametrize("kind", ["tensor", "elsewhere", "another device"])
def test_batches_of_tensors_train(kind):
    def net():
        kcore.set_random_seed(1)
        model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    x, y = np.random.default_rng(0).normal(size=(2, 8, 3)).astype("float32"), np.ones((2, 8, 1), "float32")
    kinds = {"tensor": ops.convert_to_tensor, "elsewhere": Elsewhere, "another device": OnAnotherDevice}
    make = kinds[kind]
    plain, other = net(), net()
    wanted = [plain.train_on_batch(a, b) for a, b in zip(x, y, strict=True)]
    assert [other.train_on_batch(make(a), make(b)) for a, b in zip(x, y, strict=True)] == wanted
    first = net().fit(((a, b) for a, b in zip(x, y, strict=True)), verbose=0).history
    second = net().fit(((make(a), make(b)) for a, b in zip(x, y, strict=True)), verbose=0).history
    assert first == second
