"""Which GPUs there are, what is missing where there is none, and what to type; without a driver nothing fails."""

from __future__ import annotations

import ctypes
import dataclasses
import subprocess
import sys
from types import SimpleNamespace

import pytest
from fake_cuda import HOPPER, TURING

import kcore
from kcore.backend import backend_of, installed
from kcore.errors import BackendNotFoundError, ConfigError
from kcore_cuda import gpus, installation, settings
from kcore_cuda.device_list import DeviceList
from kcore_cuda.gpus import Gpu, Listing
from kcore_cuda.libraries import cublaslt, cudnn

KEPLER = Gpu(1, "Tesla K80", (3, 7), 12 << 30)


# -- the driver ------------------------------------------------------------------------------------------------------


class Driver:
    """The driver's library, as ctypes sees it."""

    def __init__(self, found=(), version=13020, init=0):
        self.found, self.version, self.init = found, version, init

    def cuDriverGetVersion(self, out):
        out._obj.value = self.version
        return 0

    def cuInit(self, flags):
        return self.init

    def cuDeviceGetCount(self, out):
        out._obj.value = len(self.found)
        return 0

    def cuDeviceGet(self, out, ordinal):
        out._obj.value = ordinal
        return 0

    def cuDeviceGetName(self, buffer, length, device):
        buffer.value = self.found[device.value].name.encode()
        return 0

    def cuDeviceTotalMem_v2(self, out, device):
        out._obj.value = self.found[device.value].memory
        return 0

    def cuDeviceGetPCIBusId(self, buffer, length, device):
        buffer.value = self.found[device.value].bus.upper().encode()
        return 0

    def cuDeviceGetAttribute(self, out, number, device):
        gpu = self.found[device.value]
        known = {
            75: gpu.capability[0], 76: gpu.capability[1], 16: gpu.units, 8: gpu.local, 1: gpu.group, 10: gpu.warp, 18: 0
        }  # fmt: skip
        out._obj.value = known[number]
        return 0

    def cuGetErrorName(self, code, out):
        out._obj.value = {100: b"CUDA_ERROR_NO_DEVICE", 803: b"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"}[code]
        return 0

    def cuGetErrorString(self, code, out):
        out._obj.value = b"no CUDA-capable device is detected" if code == 100 else b"parts do not fit"
        return 0


@pytest.fixture
def driver(monkeypatch):
    """``driver(gpu, ..., version=13000, init=100)``: the machine has this driver."""
    monkeypatch.setattr(gpus, "_initialised_in", None)

    def make(*found, **options):
        monkeypatch.setattr(gpus, "library", lambda: Driver(found, **options))

    return make


def test_gpus_are_listed_as_the_driver_describes_them(driver):
    driver(HOPPER, TURING)
    assert gpus.listing() == Listing(13020, (HOPPER, TURING))
    assert HOPPER.architecture == "sm_90"


def test_a_machine_without_a_driver_has_no_gpu(monkeypatch):
    def missing():
        raise OSError("libcuda.so.1: cannot open shared object file")

    monkeypatch.setattr(gpus, "library", missing)
    found = gpus.listing()
    assert (found.gpus, found.error) == ((), "library") and "libcuda.so.1" in found.detail


def test_a_stub_for_linking_is_no_driver(monkeypatch):
    monkeypatch.setattr(gpus, "library", lambda: SimpleNamespace(cuDriverGetVersion=lambda out: 34))
    assert gpus.listing().error == "library"


def test_what_the_driver_refuses_is_named(driver):
    driver(init=803)
    found = gpus.listing()
    assert found.error == "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH" and found.version == 13020
    driver()
    assert gpus.listing().error == "CUDA_ERROR_NO_DEVICE"


def test_the_real_driver_is_asked_by_names_that_ctypes_finds():
    assert isinstance(ctypes.c_int, type) and gpus.listing() is not None


# -- devices ---------------------------------------------------------------------------------------------------------


def test_devices_carry_cudas_numbers_and_can_be_chosen_by_name(listed, monkeypatch):
    monkeypatch.setattr(backend_of("cuda"), "_list", listed(HOPPER, TURING))
    backend = backend_of("cuda")
    assert [str(d) for d in backend.devices()] == ["cuda:0", "cuda:1"]
    for wish, index in (("1", 1), ("t4", 1), ("h100", 0), ("nvidia", 0), ("gpu", 0)):
        assert installed.pick_device(backend, wish).index == index
    with pytest.raises(BackendNotFoundError, match="no device 'a100'.*\n.*cuda:1 NVIDIA Fake T4"):
        installed.pick_device(backend, "a100")


def test_a_gpu_that_is_too_old_is_not_used_and_keeps_its_number(listed):
    found = listed(HOPPER, KEPLER, Gpu(2, "NVIDIA T4", (7, 5), 16 << 30))
    assert [d.index for d in found.devices] == [0, 2]
    ((device, why),) = found.unused
    assert device.name == "Tesla K80" and "compute capability is 3.7" in why and "7.5" in why
    assert any("Tesla K80" in p.what and "opencl" in p.hint for p in found.problems)


def test_optional_libraries_are_told_with_what_they_gain(listed, monkeypatch):
    for library, package in ((cudnn, "cudnn"), (cublaslt, "nvmath")):
        absent = ModuleNotFoundError(f"No module named {package!r}", name=package)
        monkeypatch.setattr(library, "library", lambda absent=absent: absent)
    monkeypatch.setattr(installation, "wheels", lambda: {"cupy-cuda12x": "14.2.0"})
    found = {p.what: p for p in listed(HOPPER).problems}
    assert "tensor cores" in found["cuda: cuDNN is not installed"].why
    assert found["cuda: cuDNN is not installed"].hint == 'pip install "kcore-cuda[cudnn-cuda12]"'
    assert found["cuda: nvmath-python is not installed"].hint == 'pip install "kcore-cuda[cublaslt]"'


# -- what is missing -------------------------------------------------------------------------------------------------


@pytest.fixture
def without(monkeypatch, tmp_path):
    """``without(listing, wheels)``: the problem of a machine of this kind, whose kernel knows of no GPU."""

    def make(found, wheels=None, root=tmp_path):
        monkeypatch.setattr(installation, "wheels", lambda: wheels or {})
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        return installation.problem_of(found, root)

    return make


def test_no_gpu_and_no_driver(without):
    problem = without(Listing(error="library", detail="libcuda.so.1 is missing"))
    assert "shows no NVIDIA GPU" in problem.why and "install NVIDIA's driver" in problem.hint


def test_a_gpu_without_a_driver(without, tmp_path):
    folder = tmp_path / "sys/bus/pci/devices/0000:01:00.0"
    folder.mkdir(parents=True)
    (folder / "vendor").write_text("0x10de\n")
    (folder / "class").write_text("0x030200\n")
    problem = without(Listing(error="library", detail="libcuda.so.1 is missing"))
    assert problem.what == "cuda: NVIDIA's driver is missing" and "0000:01:00.0" in problem.why


def test_hidden_gpus(without, monkeypatch):
    without(Listing())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    problem = installation.problem_of(Listing(13000, error="CUDA_ERROR_NO_DEVICE"))
    assert "CUDA_VISIBLE_DEVICES=''" in problem.why and problem.hint == "unset CUDA_VISIBLE_DEVICES"


def test_a_driver_that_finds_nothing_or_does_not_start(without):
    assert "nvidia-smi" in without(Listing(13000, error="CUDA_ERROR_NO_DEVICE")).hint
    assert "reboot" in without(Listing(13000, error="CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", detail="x")).hint


@pytest.mark.parametrize("driver, extra", [(13000, "cuda13"), (12040, "cuda12")])
def test_cupy_is_missing(without, driver, extra):
    problem = without(Listing(driver, (HOPPER,)))
    assert problem.what == "cuda: CuPy is not installed" and problem.hint == f'pip install "kcore[{extra}]"'


def test_cupy_is_there_twice(without):
    problem = without(Listing(13000, (HOPPER,)), {"cupy-cuda12x": "14.2.0", "cupy-cuda13x": "14.2.0"})
    assert "2 CuPy packages are installed together" in problem.what
    assert problem.hint == 'pip uninstall -y cupy-cuda12x cupy-cuda13x, then pip install "kcore[cuda13]"'


def test_the_driver_is_older_than_the_toolkit(without):
    problem = without(Listing(12040, (HOPPER,)), {"cupy-cuda13x": "14.2.0"})
    assert "serves CUDA up to 12.4, cupy-cuda13x needs 13.0" in problem.why
    assert 'pip install "kcore[cuda12]"' in problem.hint and "580" in problem.hint
    problem = without(Listing(11080, (HOPPER,)), {"cupy-cuda12x": "14.2.0"})
    assert problem.hint == "update the driver to 525 or newer"


def test_cupy_is_too_old(without):
    assert "pip uninstall -y cupy-cuda11x" in without(Listing(13000, (HOPPER,)), {"cupy-cuda11x": "13.0.0"}).hint
    assert "[ctk]" in without(Listing(13000, (HOPPER,)), {"cupy-cuda13x": "13.6.0"}).hint


def test_cupy_cannot_be_imported(without, monkeypatch):
    def broken(name):
        raise ImportError("=====\nlibcublas.so.13: cannot open shared object file\n=====")

    monkeypatch.setattr(installation.importlib, "import_module", broken)
    problem = without(Listing(13000, (HOPPER,)), {"cupy-cuda13x": "14.2.0"})
    assert "ImportError: libcublas.so.13" in problem.why and "--force-reinstall" in problem.hint


def test_nvrtc_is_missing(without, monkeypatch):
    def missing():
        raise RuntimeError("libnvrtc.so.13 cannot be loaded\nmore")

    module = SimpleNamespace(nvrtc=SimpleNamespace(getVersion=missing))
    monkeypatch.setattr(installation.importlib, "import_module", lambda name: module)
    problem = without(Listing(13000, (HOPPER,)), {"cupy-cuda13x": "14.2.0"})
    assert "NVRTC" in problem.what and problem.hint == 'pip install "cupy-cuda13x[ctk]"'


def test_headers_are_missing(without, monkeypatch):
    monkeypatch.setattr("kcore_cuda.programs.include_folder", lambda: None)
    module = SimpleNamespace(nvrtc=SimpleNamespace(getVersion=lambda: (13, 0)))
    monkeypatch.setattr(installation.importlib, "import_module", lambda name: module)
    assert "headers" in without(Listing(13000, (HOPPER,)), {"cupy-cuda13x": "14.2.0"}).what


def test_all_is_well(without):
    pytest.importorskip("cupy")
    assert without(Listing(13020, (HOPPER,)), {"cupy-cuda13x": "14.2.0"}) is None


def test_use_backend_says_what_is_missing_and_what_to_type(listed, monkeypatch):
    monkeypatch.setattr(gpus, "listing", lambda: Listing(12040, (HOPPER,)))
    monkeypatch.setattr(installation, "wheels", dict)
    monkeypatch.setattr(backend_of("cuda"), "_list", DeviceList())
    with pytest.raises(BackendNotFoundError) as caught:
        kcore.use_backend("cuda")
    message = str(caught.value)
    assert "CuPy is not installed" in message and 'pip install "kcore[cuda12]"' in message
    assert not kcore.is_backend_available("cuda")
    assert [d.name for d, _ in backend_of("cuda").unused()] == ["NVIDIA Fake H100"]


def test_listing_imports_no_cupy():
    code = "import sys, kcore; kcore.is_backend_available('cuda'); kcore.devices(); print('cupy' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip().endswith("False") or kcore.devices("cuda")


@pytest.mark.parametrize("hidden", ["", "-1", "7", "MIG-00000000-1111-2222-3333-444444444444"])
def test_whatever_hides_all_gpus_is_named(without, monkeypatch, hidden):
    without(Listing())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    problem = installation.problem_of(Listing(13000, error="CUDA_ERROR_NO_DEVICE"))
    assert problem.why == f"CUDA_VISIBLE_DEVICES={hidden!r} names none of the GPUs"


def test_a_slice_of_a_gpu_is_a_gpu(listed, monkeypatch):
    part = dataclasses.replace(HOPPER, name="NVIDIA H100 80GB HBM3 MIG 1g.10gb", memory=10 << 30, units=16)
    monkeypatch.setattr(backend_of("cuda"), "_list", listed(part))
    (device,) = backend_of("cuda").devices()
    assert device.memory == 10 << 30 and device.details["multiprocessors"] == 16
    assert backend_of("cuda").unused() == []


@pytest.mark.parametrize("name, said", [
    ("cuda:T4x", "has no device 'T4x'; did you mean 't4'?"), ("cuda:5", "has no device '5'"),
    ("cud:0", "is not installed; did you mean 'cuda'?"),
])  # fmt: skip
def test_unknown_devices_are_told_with_near_names(listed, monkeypatch, name, said):
    monkeypatch.setattr(backend_of("cuda"), "_list", listed(HOPPER, TURING))
    with pytest.raises(BackendNotFoundError) as caught:
        kcore.use_backend(name)
    assert said in str(caught.value) and "cuda:1 NVIDIA Fake T4" in str(caught.value)


def test_cudnn_for_another_cuda_is_told(monkeypatch):
    from kcore_cuda.libraries import cudnn

    installed = {"nvidia-cudnn-cu12"}

    def version(name):
        if name not in installed:
            raise cudnn.PackageNotFoundError(name)
        return "9.28"

    monkeypatch.setattr(cudnn, "version", version)
    monkeypatch.setattr(cudnn, "library", object)
    problem = cudnn.missing(13)
    assert problem.what == "cuda: nvidia-cudnn-cu12 is for another CUDA than CuPy's 13"
    assert problem.hint == 'pip uninstall -y nvidia-cudnn-cu12, then pip install "kcore-cuda[cudnn]"'
    assert cudnn.missing(12) is None
    installed.add("nvidia-cudnn-cu13")
    assert "pip uninstall -y nvidia-cudnn-cu12 nvidia-cudnn-cu13" in cudnn.missing(12).hint


# -- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, wanted", [("", 1000), ("50%", 500), ("300", 300), ("0.5K", 512), ("2GiB", 1000), ("12.5 %", 125)]
)
def test_the_memory_limit_is_a_size_or_a_share(monkeypatch, text, wanted):
    monkeypatch.setenv(settings.MEMORY, text)
    assert settings.memory_limit(1000) == wanted


@pytest.mark.parametrize("text", ["much", "0", "0%", "101%", "-3"])
def test_a_limit_that_is_none_is_refused(monkeypatch, text):
    monkeypatch.setenv(settings.MEMORY, text)
    with pytest.raises(ConfigError, match="is neither a size such as 6GiB"):
        settings.memory_limit(1000)


def test_a_limit_is_told_with_the_device(listed, monkeypatch):
    monkeypatch.setenv(settings.MEMORY, "50%")
    (device,) = listed(HOPPER).devices
    assert device.memory == 40 << 30 and "40.0 of 80.0 GiB" in device.details["limit"]


def test_a_misspelt_setting_is_told_with_what_it_may_have_been(listed, monkeypatch):
    monkeypatch.setenv("KCORE_CUDA_TF23", "1")
    (problem,) = (p for p in listed(HOPPER).problems if "variable" in p.what)
    assert problem.why == "KCORE_CUDA_TF23 is no setting of kcore; did you mean 'KCORE_CUDA_TF32'?"
    monkeypatch.delenv("KCORE_CUDA_TF23")
    assert settings.misspelt() == []


@pytest.mark.parametrize("text, wanted", [("", None), ("0", False), ("1", True)])
def test_batch_normalization_by_cudnn_can_be_forced_and_forbidden(monkeypatch, text, wanted):
    monkeypatch.setenv(settings.BATCH_NORM, text)
    assert settings.batch_norm() is wanted
    monkeypatch.setenv(settings.BATCH_NORM, "auto")
    with pytest.raises(ConfigError, match="KCORE_CUDA_CUDNN_BATCH_NORM='auto' is neither 0 nor 1"):
        settings.batch_norm()


def test_tf32_is_off_unless_it_is_asked_for(monkeypatch):
    monkeypatch.delenv(settings.TF32, raising=False)
    assert not settings.tf32()
    monkeypatch.setenv(settings.TF32, "1")
    assert settings.tf32()
    monkeypatch.setenv(settings.TF32, "yes")
    with pytest.raises(ConfigError, match="is neither 0 nor 1"):
        settings.tf32()
