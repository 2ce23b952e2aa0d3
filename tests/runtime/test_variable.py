"""Variables: state with a buffer of its own, read as a snapshot, assigned by value."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import ops
from kcore.runtime import Variable, name_scope


def test_values_dtypes_and_initializers():
    assert Variable([1, 2]).dtype == "int32" and Variable([1.0]).dtype == "float32"
    assert Variable(np.ones(2, "float64")).dtype == "float64"
    v = Variable(lambda shape, dtype: np.full(shape, 3, dtype), shape=(2, 2), dtype="float64")
    assert v.numpy().tolist() == [[3, 3], [3, 3]] and v.dtype == "float64"
    with pytest.raises(ValueError, match="callable initializer, so it needs a shape"):
        Variable(lambda shape, dtype: None)
    with pytest.raises(ValueError, match=r"should have shape \(3,\), its initial value has \(2,\)"):
        Variable([1.0, 2.0], shape=(3,))


def test_a_reading_is_a_snapshot():
    v = Variable([1.0, 2.0])
    before, host = v.value, v.numpy()
    v.assign([5.0, 6.0])
    host[:] = 9
    assert before.numpy().tolist() == [1, 2] and v.numpy().tolist() == [5, 6]


def test_a_function_writes_the_content_where_it_lies_or_goes():
    v = Variable(np.ones((2, 3), "float32"))
    before = v.value
    v.fill(lambda out: np.copyto(out, np.arange(6).reshape(out.shape)))
    assert v.held().tolist() == v.numpy().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert before.numpy().tolist() == [[1, 1, 1]] * 2


@pytest.mark.parametrize("number", [0.0, 2.0])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_one_number_for_all_elements(shape, number):
    v = Variable(lambda shape, dtype: np.broadcast_to(np.full((), number, dtype), shape), shape=shape)
    np.testing.assert_array_equal(v.numpy(), np.full(shape, number))
    v.assign(np.ones(shape))
    np.testing.assert_array_equal(v.numpy(), np.ones(shape))


def test_an_assigned_array_may_change_afterwards():
    v, x = Variable(np.zeros(2, "float32")), np.ones(2, "float32")
    v.assign(x)
    x[:] = 7
    assert v.numpy().tolist() == [1, 1]


def test_assignments_check_the_shape():
    with pytest.raises(ValueError, match=r"\(2,\)"):
        Variable(np.zeros(2, "float32"), name="w").assign(np.zeros(3, "float32"))


def test_arithmetic_as_with_a_tensor():
    v = Variable([1.0, 2.0])
    np.testing.assert_allclose((v * 2.0 + v - ops.sum(v)).numpy(), [0.0, 3.0])
    v.assign_add([1.0, 1.0])
    v.assign_sub([0.5, 0.5])
    assert v.numpy().tolist() == [1.5, 2.5]


def test_the_path_is_the_scope_it_was_made_in():
    with name_scope("model"), name_scope("dense"):
        v = Variable(0.0, name="kernel")
    assert v.path == "model/dense/kernel" and v.name == "kernel"
    with pytest.raises(ValueError, match="may not contain '/'"):
        Variable(0.0, name="a/b")
