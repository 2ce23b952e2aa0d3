"""What the tests of the CUDA backend share: a machine with a fake GPU, whose kernels compute or are only looked at."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import kcore
import kcore.ops  # noqa: F401  (registers the ops)
from kcore.backend import backend_of
from kcore_cuda import device_list, gpus, installation, place
from kcore_cuda.gpus import Gpu, Listing

sys.path.insert(0, str(Path(__file__).parent))

from fake_cuda import HOPPER, TURING, Fake  # noqa: E402

#: One for the whole run: tensors that the core keeps (numbers in eager calls) stay where they are.
_FAKE = Fake()
#: What is known of its GPUs, apart from what a real one may have in this process.
_PLACES: dict = {}
_GPUS: dict = {}
_ARENAS: dict = {}


@pytest.fixture
def listed(monkeypatch):
    """``listed(gpu, ...)``: the machine has these GPUs, and everything that is needed is installed."""

    def make(*found: Gpu, driver: int = 13000):
        monkeypatch.setattr(gpus, "listing", lambda: Listing(driver, found))
        monkeypatch.setattr(installation, "problem_of", lambda found: None)
        return device_list.DeviceList()

    return make


@pytest.fixture
def machine(listed, monkeypatch, tmp_path):
    """A machine with a fake GPU and no libraries, in use as ``cuda:0``; kernels are looked at, but nothing computes."""
    monkeypatch.setenv("KCORE_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("KCORE_NO_CACHE", raising=False)
    fake = _FAKE
    fake.install(monkeypatch)
    fake.launched.clear()
    fake.calls.clear()
    fake.execute = None
    monkeypatch.setattr(place, "_places", _PLACES)
    monkeypatch.setattr(place, "_gpus", _GPUS)
    before = kcore.backend.current()
    backend = backend_of("cuda")
    monkeypatch.setattr("kcore.backend.compile._arenas", _ARENAS)
    monkeypatch.setattr(backend, "_list", listed(HOPPER, TURING))
    libraries = [k for k in backend.kernels if k.priority > 0]
    for kernel in libraries:
        backend.kernels.remove(kernel)
    kcore.use_backend("cuda")
    yield fake
    kcore.use_backend(str(before))
    for kernel in libraries:
        backend.kernels.add(kernel)


@pytest.fixture
def computing(machine):
    """The same, and kernels compute."""
    from opencl_executor import Executor, device_of_host_memory

    device = device_of_host_memory()
    if device is None:
        pytest.skip('no OpenCL driver with generic pointers; to install it, type: pip install "kcore[opencl-intel]"')
    if not isinstance(_EXECUTOR.get("it"), Executor):
        _EXECUTOR["it"] = Executor(device)
    machine.execute = _EXECUTOR["it"]
    return machine


_EXECUTOR: dict[str, object] = {}


@pytest.fixture
def here(machine):
    """The state of the fake GPU."""
    return place.place_of(kcore.backend.current().device)
