"""The rotation, by kcore's conformance kit on every backend that answers, and by its own properties."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore.testing import check_op
from kcore_rotary import rotate


@pytest.mark.parametrize("device", [str(d) for d in kcore.devices()])
def test_the_op_conforms(device):
    counts = check_op("kcore_rotary>rotate", device)
    assert counts["eager"] and counts["gradient"] and counts["compiled, primitives only"]


def test_the_kernel_is_this_package_s():
    kcore.use_backend("numpy")
    turned = kcore.function(lambda x, c, s: rotate(x, c, s) * 2.0)
    x, c = np.ones((2, 3, 4), "float32"), np.ones((3, 2), "float32")
    assert "kcore-rotary:kcore_rotary>rotate" in str(turned.concrete(x, c, c).plan)


def test_turning_back_gives_the_tensor_again():
    rng = np.random.default_rng(0)
    x, angle = rng.normal(size=(3, 5, 8)).astype("float32"), rng.normal(size=(5, 4)).astype("float32")
    there = rotate(x, np.cos(angle), np.sin(angle))
    back = rotate(there, np.cos(angle), -np.sin(angle))
    np.testing.assert_allclose(back.numpy(), x, atol=1e-5)
    np.testing.assert_allclose(np.sum(there.numpy() ** 2), np.sum(x**2), rtol=1e-5)


def test_errors_say_what_came_and_what_was_expected():
    with pytest.raises(ValueError, match=r"even number of features.*float32\[2, 3\]"):
        rotate(np.ones((2, 3), "float32"), np.ones(1, "float32"), np.ones(1, "float32"))
    with pytest.raises(ValueError, match=r"float32\[3\] do not broadcast to half the features of float32\[2, 4\]"):
        rotate(np.ones((2, 4), "float32"), np.ones(3, "float32"), np.ones(3, "float32"))
