"""Numbers below the normal ones are zero in kernels: a CPU takes some hundred cycles for each."""

from __future__ import annotations

import numpy as np

import kcore
from kcore import ops
from kcore.backend import use_backend


def test_floats_that_small_are_zero_and_half_floats_are_kept(device):
    use_backend(str(device.device))
    tiny = np.full(100, 1e-40, "float32")
    scaled = kcore.function(lambda x: (x * 0.5 + x * 0.25, ops.exp(x)))
    small, one = scaled(tiny)
    assert not np.asarray(small).any() and (np.asarray(one) == 1).all()
    halves = np.array([6e-8, 3e-6, 5e-5], "float16")  # below the normal ones of float16, none of float32
    np.testing.assert_array_equal(np.asarray(kcore.function(lambda x: x * 1.0 + x)(halves)), halves + halves)


def test_an_average_of_nothing_reaches_zero(device):
    use_backend(str(device.device))
    average = kcore.Variable(np.full(50, 2.0**-120, "float32"))
    step = kcore.function(lambda: average.assign(average * 0.5))
    seen = []
    for _ in range(8):
        step()
        seen.append(float(average.numpy()[0]))
    assert seen[:6] == [2.0**-n for n in range(121, 127)] and seen[6:] == [0.0, 0.0]
