"""A backend from elsewhere that has only the primitives, and no strided arrays, runs every kind of model."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore.backend import selection
from kcore.graph.op import OPS
from kcore.testing import check_op
from kcore.testing.trainings import MODELS, train

#: All there is to write for a new device: memory, and a kernel per primitive; here each is the op's own reference.
SOURCE = """
    import numpy as np

    import kcore.ops
    from kcore.backend.base import Backend, Device
    from kcore.backend.kernel import kernel
    from kcore.dtypes import numpy_dtype
    from kcore.graph.op import OPS

    def bind(site):
        op, attrs, inputs = site.node.op, site.attrs, site.inputs
        assert all(a is None or a.flags.c_contiguous for a in inputs), f"{op.name} got a strided array"

        def run():
            results = op.fn(*inputs, **attrs)
            for out, result in zip(site.outputs, results if isinstance(results, tuple) else (results,), strict=True):
                if out is not None:
                    out[...] = result

        return run

    for op in list(OPS):
        if op.primitive and op.family != "control":
            kernel(op.name, backend="dummy", package="dist-dummy")(bind)

    class Dummy(Backend):
        name = "dummy"
        kcore_contract = 1

        def devices(self):
            return [Device("dummy", 0, "a device that exists only in a test")]

        def allocate(self, nbytes, device):
            raw = np.empty(nbytes + 64, np.uint8)
            start = -raw.ctypes.data % 64
            return raw[start : start + nbytes]

        def view(self, storage, offset, shape, dtype):
            return np.ndarray(shape, numpy_dtype(dtype), storage, offset)

        def upload(self, array, values):
            array[...] = values

        def download(self, array):
            return np.array(array)

        def copy(self, dst, src):
            dst[...] = src
"""


@pytest.fixture
def dummy(install):
    install("dist-dummy", "kcore.backends", {"dummy": "dummy_backend_from_elsewhere:Dummy"},
            {"dummy_backend_from_elsewhere.py": SOURCE})  # fmt: skip
    yield kcore.use_backend("dummy").backend
    kcore.use_backend("numpy")


def test_it_has_the_primitives_only(dummy):
    names = {k.op for k in dummy.kernels}
    assert names and all(OPS[name].primitive for name in names)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_trains_one_step_as_on_numpy(dummy, name):
    losses, weights = train(name, 1)
    assert selection.current().name == "dummy"
    kcore.use_backend("numpy")
    expected_losses, expected_weights = train(name, 1)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)
    for i, (a, b) in enumerate(zip(weights, expected_weights, strict=True)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5, err_msg=f"{name}: weight {i}")


@pytest.mark.parametrize("op", ["softmax", "dropout", "lstm", "kcore_rotary>rotate"])
def test_composites_conform_by_decomposition(dummy, op):
    assert check_op(op, "dummy")["eager"]


def test_its_plan_names_the_package_of_every_kernel(dummy):
    plan = str(kcore.function(lambda x: kcore.ops.softmax(x)).concrete(np.ones((2, 3), "float32")).plan)
    assert "dist-dummy:exp" in plan and "softmax" not in plan.replace("graph", "")


def test_a_model_moves_to_it_when_it_is_next_used(dummy):
    kcore.use_backend("numpy")
    model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2)])
    x = np.arange(6, dtype="float32").reshape(2, 3)
    before = model.predict(x, verbose=0)
    kcore.use_backend("dummy")
    np.testing.assert_allclose(model.predict(x, verbose=0), before, rtol=1e-6)
    np.testing.assert_allclose(model(x).numpy(), before, rtol=1e-6)
    assert model(x).device.backend == "dummy"
