"""What goes wrong while computing reaches the user as an error that names the device, the op and what to try."""

from __future__ import annotations

import numpy as np
import pyopencl as cl
import pytest

import kcore
from kcore_opencl import backend as opencl_backend
from kcore_opencl.errors import BuildError, DeviceLostError, OpenCLError, explained
from kcore_opencl.profile import Profile

SOURCE = """__kernel void add(__global float *a)
{
    a[get_global_id(0)] = missing(1);
}"""


class Failed(cl.Error):
    """What PyOpenCL raises, with a status of our own choice."""

    code = 0

    def __init__(self, code: int):
        super().__init__(f"clEnqueueNDRangeKernel failed: {code}")
        self.code = code


@pytest.fixture
def chosen(device):
    before = kcore.backend.current()
    yield kcore.use_backend(str(device.device))
    kcore.use_backend(str(before))


@pytest.mark.parametrize("code", [-2, -5, -14, -36, -9999])
def test_a_lost_device_is_named_with_what_to_try(code):
    error = explained(Failed(code), "opencl:0 (gfx1100)")
    assert type(error) is DeviceLostError
    assert "opencl:0 (gfx1100) stopped computing" in str(error) and "load the last checkpoint" in str(error)


def test_a_full_device_is_a_memory_error():
    assert type(explained(Failed(-4), "gfx1100")) is MemoryError


def test_other_errors_name_the_device():
    error = explained(Failed(-52), "gfx1100")
    assert type(error) is OpenCLError and str(error).startswith("gfx1100: ")


@pytest.mark.parametrize("profiled", [False, True])
def test_a_failing_launch_names_device_op_and_layer(chosen, device, monkeypatch, profiled):
    def gone(*args):
        raise Failed(-5)

    model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2, activation="tanh", name="head")])
    x = np.ones((4, 3), "float32")
    model.predict(x, verbose=0)
    if profiled:
        monkeypatch.setattr(device.place, "profile", Profile("a device", device.place.queue))
    monkeypatch.setattr(opencl_backend.cl, "enqueue_nd_range_kernel", gone)
    with pytest.raises(DeviceLostError) as caught:
        kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(5, activation="tanh", name="head")]).predict(x)
    assert chosen.device.name in str(caught.value)
    assert any("in kernel" in note and "head" in note for note in caught.value.__notes__)


@pytest.mark.parametrize(
    "log",
    [
        "1:3:27: error: use of undeclared identifier 'missing'\n    3 |     a[get",
        "error: /root/.cache/pocl/kcache/tempfile_a.cl:3:27: use of undeclared identifier 'missing'",
        "<kernel>:3:27: error: use of undeclared identifier 'missing'",
        "/tmp/comgr-3d/input/CompileSource:3:27: error: use of undeclared identifier 'missing'",
    ],
)
def test_a_build_failure_shows_the_line_the_log_and_the_device(log):
    lines = str(BuildError("opencl:0 (gfx1100)", "add", SOURCE, log)).splitlines()
    assert "kernel 'add' does not compile on opencl:0 (gfx1100)" in lines[0]
    assert lines[1].strip() == "line 3: use of undeclared identifier 'missing'"
    assert lines[2].strip() == "a[get_global_id(0)] = missing(1);"
    assert lines[3].index("^") == lines[2].index("missing")
    assert any(log.splitlines()[0] in line for line in lines)
