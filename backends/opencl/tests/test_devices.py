"""The devices that are found, how they are chosen, how they are split, and what is said of those that are not used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyopencl as cl
import pytest

import kcore
from kcore.backend import backend_of, devices, installed
from kcore.errors import BackendNotFoundError
from kcore_opencl import device_list, diagnosis, drivers, platforms, selftest, sub_devices
from kcore_opencl.place import place_of


@pytest.fixture
def backend():
    return backend_of("opencl")


@pytest.fixture
def restored():
    """The backend in use before the test is in use after it."""
    before = kcore.backend.current()
    yield
    kcore.use_backend(str(before))


def fake_device(**facts):
    """A PyOpenCL device that is nothing but its answers: a GPU of AMD that can be used."""
    platform = SimpleNamespace(name="AMD Accelerated Parallel Processing", version="OpenCL 2.1 AMD-APP (3590.0)")
    answers = {
        "platform": platform,
        "name": "gfx1100",
        "vendor": "Advanced Micro Devices, Inc.",
        "driver_version": "3590.0 (HSA1.1,LC)",
        "version": "OpenCL 2.0",
        "type": cl.device_type.GPU,
        "available": True,
        "compiler_available": True,
        "linker_available": True,
        "extensions": "cl_khr_fp64 cl_khr_fp16",
        "max_compute_units": 48,
        "max_clock_frequency": 2304,
        "native_vector_width_float": 1,
        "preferred_vector_width_float": 1,
        "wavefront_width_amd": 32,
        "local_mem_size": 65536,
        "max_work_group_size": 256,
        "mem_base_addr_align": 1024,
        "max_mem_alloc_size": 20 << 30,
        "global_mem_size": 24 << 30,
        "host_unified_memory": False,
    }
    return SimpleNamespace(**{**answers, **facts})


# -- choosing --------------------------------------------------------------------------------------------------------


def test_each_driver_gives_a_device_with_a_place(device):
    assert device.device in devices("opencl")
    assert device.place.traits.kind == device.device.kind == "cpu"


def test_devices_are_chosen_by_number_maker_kind_and_name(backend, intel, pocl):
    for wish, wanted in {
        str(intel.device.index): intel,
        "intel-cpu": intel,
        "Intel(R) OpenCL": intel,
        str(pocl.device.index): pocl,
        "pocl": pocl,
        "PoCL": pocl,
        "portable": pocl,
    }.items():
        assert installed.pick_device(backend, wish) == wanted.device, wish
    assert installed.pick_device(backend, "cpu").kind == "cpu"


def test_a_maker_is_never_taken_for_part_of_a_name(backend, intel, pocl, monkeypatch):
    """PoCL's device carries the name of Intel's processor; who asks for Intel's driver does not want it."""
    monkeypatch.setattr(backend._list, "devices", [pocl.device])
    with pytest.raises(BackendNotFoundError, match="no device 'intel'"):
        installed.pick_device(backend, "intel")


@pytest.mark.parametrize(
    "wish, near", [("pocls", "pocl"), ("portable computing languag", "portable computing language")]
)
def test_a_wrong_name_lists_the_near_ones(backend, pocl, wish, near):
    with pytest.raises(BackendNotFoundError, match=f"did you mean .*'{near}'"):
        installed.pick_device(backend, wish + "x")


def test_the_environment_chooses_alike(pocl):
    said = python("import kcore; print(kcore.backend.current())", KERAS_BACKEND="opencl:pocl")
    assert said.stdout.strip() == str(pocl.device)


def test_intels_runtime_comes_before_pocl(intel, pocl):
    assert intel.device.index < pocl.device.index


# -- listing ---------------------------------------------------------------------------------------------------------


def listing(monkeypatch, *found):
    loaded = drivers.Loaded(found, None, "", False)
    monkeypatch.setattr(drivers, "load", lambda: loaded)
    return platforms.listing.__wrapped__()


def platform(name, *its_devices):
    made = SimpleNamespace(name=name, version="OpenCL 3.0", get_devices=lambda: list(its_devices))
    for d in its_devices:
        d.platform = made
    return made


def test_gpus_come_first_then_the_faster_ones(monkeypatch):
    small = fake_device(name="gfx1036", max_compute_units=2)
    large = fake_device(name="gfx1100")
    cpu = fake_device(name="EPYC", type=cl.device_type.CPU, max_compute_units=192, native_vector_width_float=16)
    found = listing(monkeypatch, platform("PoCL", cpu), platform("AMD", small, large))
    assert [c.device.name for c in found] == ["gfx1100", "gfx1036", "EPYC"]


def test_a_platform_that_is_listed_twice_counts_once(monkeypatch):
    twice = [platform("Portable Computing Language", fake_device()) for _ in range(2)]
    assert len(listing(monkeypatch, *twice)) == 1


@pytest.mark.parametrize(
    "facts, why",
    [
        ({"version": "OpenCL 1.1 Mesa 21.3.7"}, "OpenCL 1.1 Mesa 21.3.7, and kcore needs OpenCL 1.2"),
        ({"compiler_available": False}, "has no compiler"),
        ({"available": False}, "not available"),
        ({"type": cl.device_type.CUSTOM}, "built-in kernels"),
    ],
)
def test_what_cannot_be_used_is_last_and_says_why(monkeypatch, facts, why):
    bad = fake_device(name="bad", **facts)
    good = fake_device(name="good", type=cl.device_type.CPU)
    found = listing(monkeypatch, platform("Old", bad), platform("PoCL", good))
    assert [c.device.name for c in found] == ["good", "bad"]
    assert found[0].problem is None and why in found[1].problem.why and found[1].problem.hint
    monkeypatch.setattr(device_list, "listing", lambda: found)
    monkeypatch.setattr(device_list, "register", lambda *a: None)
    made = device_list.DeviceList()
    assert [d.name for d in made.devices] == ["good"]
    assert [(d.name, why in reason) for d, reason in made.unused] == [("bad", True)]


def test_a_gpu_is_the_default_and_an_untested_cpu_is_not(monkeypatch):
    found = listing(monkeypatch, platform("AMD", fake_device()), platform("X", fake_device(type=cl.device_type.CPU)))
    assert [device_list.described(c, i).default for i, c in enumerate(found)] == [True, False]


def test_listing_says_what_there_is_to_say(pocl):
    known = pocl.device.details
    for key in ("platform", "vendor", "driver", "maker", "units", "subgroup", "fp16", "fp64", "largest allocation"):
        assert known[key] not in ("", None), key


def test_kcore_devices_lists_them(intel, pocl):
    said = python("from kcore.cli import main; raise SystemExit(main(['devices', 'opencl']))", KERAS_BACKEND="numpy")
    assert said.returncode == 0
    for found in (intel.device, pocl.device):
        assert any(line.startswith(f"{found}  {found.name}") for line in said.stdout.splitlines())
        assert f"driver {found.details['driver']}" in said.stdout.replace("\n    ", " ")


def test_a_piece_in_use_is_said(pocl):
    if pocl.place.traits.units < 2:
        pytest.skip("a device of one unit cannot be split")
    said = python("from kcore.cli import main; raise SystemExit(main(['devices']))", KERAS_BACKEND="opencl:pocl.1")
    assert f"{pocl.device}.1, a piece of one of them, is in use" in said.stdout


# -- pieces ----------------------------------------------------------------------------------------------------------


def small_model():
    kcore.set_random_seed(3)
    model = kcore.Sequential(
        [kcore.Input((20,)), kcore.layers.Dense(32, activation="relu"), kcore.layers.Dense(5, activation="softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def train(model, steps=4):
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((64, 20), np.float32), rng.integers(0, 5, 64)
    model.fit(x, y, batch_size=64 // steps, epochs=1, shuffle=False, verbose=0)
    return [np.asarray(w) for w in model.get_weights()]


def test_two_models_train_on_two_halves(device, restored):
    if device.place.traits.units < 2:
        pytest.skip("a device of one unit cannot be split")
    halves = [f"{device.device}.{i}" for i in range(2)]
    models = []
    for half in halves:
        assert str(kcore.use_backend(half)) == half
        models.append(small_model())
        models[-1].weights_here = train(models[-1])
    places = [place_of(installed.pick_device(backend_of("opencl"), f"{device.device.index}.{i}")) for i in range(2)]
    assert places[0] is not places[1] and places[0].queue != places[1].queue
    assert sum(p.traits.units for p in places) == device.place.traits.units
    kcore.use_backend(str(device.device))
    whole = train(small_model())
    for model in models:
        for a, b in zip(model.weights_here, whole, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    kcore.use_backend(halves[0])
    models[1].predict(np.zeros((1, 20), "float32"), verbose=0)  # a model moves between pieces as between devices


def test_pieces_compute_at_once(backend, device):
    if device.place.traits.units < 2:
        pytest.skip("a device of one unit cannot be split")
    halves = [installed.pick_device(backend, f"{device.device.index}.{i}") for i in range(2)]
    tried = [t for t in selftest.trials() if t.op in ("exp", "sum", "matmul")]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda half: [selftest.complaints(backend, half, tried) for _ in range(3)], halves))
    assert found == [[[]] * 3] * 2


def test_pieces_are_found_by_maker_and_count(backend, device):
    units = device.place.traits.units
    maker = device.device.details["maker"]
    if units < 2:
        pytest.skip("a device of one unit cannot be split")
    half = installed.pick_device(backend, f"{maker}.1")
    assert str(half) == f"{device.device}.1" and half.details["piece"] == "2 of 2"
    one = installed.pick_device(backend, f"{maker}.0/{units}")
    assert one.details["units"] == 1


@pytest.mark.parametrize(
    "piece, why",
    [("2", "its pieces are .*0 to .*1; for one of 3 write"), ("0/4096", "cannot be split into 4096 pieces")],
)
def test_a_piece_that_cannot_be_says_why(backend, device, piece, why):
    with pytest.raises(BackendNotFoundError, match=why):
        installed.pick_device(backend, f"{device.device.index}.{piece}")


def test_a_gpu_is_not_split():
    with pytest.raises(BackendNotFoundError, match="only CPU devices can"):
        sub_devices.split(fake_device(), "opencl:0 (gfx1100)", 2)


# -- drivers ---------------------------------------------------------------------------------------------------------


def python(code, **environment):
    """Run Python in a process of its own."""
    env = {**os.environ, **environment}
    env = {k: v for k, v in env.items() if v is not None}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)


LIST = (
    "import json; from kcore.backend import devices; print(json.dumps([d.details['maker'] for d in devices('opencl')]))"
)


def makers(code=LIST, **environment):
    result = python(code, **environment)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_drivers_are_found_with_nothing_set(intel, pocl):
    assert makers(OCL_ICD_VENDORS=None) == ["intel-cpu", "pocl"]


def test_child_processes_inherit_nothing():
    code = "import os; before = dict(os.environ); from kcore.backend import devices; devices('opencl'); "
    code += "print([k for k in os.environ if 'ICD' in k and k not in before])"
    assert python(code).stdout.strip() == "[]"


def test_processes_that_start_at_once_do_not_disturb_each_other(intel, pocl):
    command = [sys.executable, "-c", LIST]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [json.loads(p.communicate()[0]) for p in started] == [["intel-cpu", "pocl"]] * 4


def test_pyopencl_may_be_imported_first(intel):
    assert "intel-cpu" in makers("import pyopencl; " + LIST)


def test_platforms_asked_for_before_kcore_are_a_problem_that_is_explained(intel):
    code = "import pyopencl; pyopencl.get_platforms(); from kcore.backend import backend_of; "
    code += "print(*backend_of('opencl').problems(), sep='\\n')"
    said = python(code).stdout
    assert "Intel's CPU runtime" in said and "before kcore" in said and "next: call kcore.use_backend('opencl')" in said


def test_the_users_own_choice_of_drivers_is_respected(intel, pocl, tmp_path):
    assert makers(OCL_ICD_VENDORS=str(tmp_path)) == ["pocl"]
    code = "from kcore.backend import backend_of; print(*backend_of('opencl').problems(), sep='\\n')"
    assert "next: unset OCL_ICD_VENDORS" in python(code, OCL_ICD_VENDORS=str(tmp_path)).stdout


def test_the_systems_drivers_stay_visible(intel, tmp_path):
    (tmp_path / "other.icd").write_text("/nowhere/libother.so\n")
    code = "from kcore.backend import backend_of; print(*backend_of('opencl').problems(), sep='\\n')"
    said = python(code, OPENCL_VENDOR_PATH=str(tmp_path)).stdout
    assert "OpenCL driver /nowhere/libother.so" in said and "cannot open shared object file" in said
    assert "intel-cpu" in makers(OPENCL_VENDOR_PATH=str(tmp_path))


def test_intels_runtime_is_found_where_pip_put_it(intel, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    found = drivers.find_intel()
    assert found is not None and found.exists()
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / drivers.INTEL).touch()
    assert drivers.find_intel() == tmp_path / "lib" / drivers.INTEL


def test_a_missing_library_of_intels_runtime_is_named(monkeypatch):
    monkeypatch.setattr(drivers, "INTEL_NEEDS", ("libnosuch.so",))
    error = drivers._preload(Path("/nowhere/libintelocl.so"))
    assert "libnosuch.so" in error
    loaded = drivers.Loaded((), Path("/nowhere/libintelocl.so"), error, False)
    monkeypatch.setattr(drivers, "load", lambda: loaded)
    (problem,) = diagnosis._of_intel()
    assert "libnosuch.so" in problem.why and "pip install" in problem.hint


def test_lost_libraries_of_intels_runtime_are_a_problem(monkeypatch):
    monkeypatch.setattr(drivers, "load", lambda: drivers.Loaded((), None, "", False))
    monkeypatch.setattr(drivers, "intel_is_installed", lambda: True)
    (problem,) = diagnosis._of_intel()
    assert "--target" in problem.why and "--force-reinstall" in problem.hint


def test_without_a_temporary_folder_the_rest_works(intel):
    code = "import tempfile; tempfile.tempdir = '/dev/null/none'; " + LIST
    assert makers(code) == ["pocl"]


def test_without_a_cache_folder_kernels_run(intel, tmp_path):
    """Containers often have users without a home."""
    (tmp_path / "file").touch()
    code = "import kcore; kcore.use_backend('opencl:intel'); print(float(kcore.ops.sum(kcore.ops.ones((2, 3)))))"
    said = python(code, HOME=str(tmp_path / "file"), XDG_CACHE_HOME=None)
    assert said.stdout.strip() == "6.0", said.stderr


def test_a_driver_without_an_icd_file_is_made_visible(monkeypatch, tmp_path):
    """Containers are given NVIDIA's library without the file that names it."""
    (tmp_path / "other.icd").write_text("/nowhere/libother.so\n")
    monkeypatch.setenv("OPENCL_VENDOR_PATH", str(tmp_path))
    monkeypatch.delenv("OCL_ICD_VENDORS", raising=False)
    assert drivers._unnamed("libm.so.6") and not drivers._unnamed("libnosuch.so")
    assert not drivers._unnamed("libother.so")
    with drivers._visible(["libm.so.6"]):
        files = Path(os.environ["OCL_ICD_VENDORS"]).glob("*.icd")
        assert {f.read_text().strip() for f in files} == {"libm.so.6", "/nowhere/libother.so"}
        assert os.environ["OCL_ICD_FILENAMES"] == "libm.so.6"
    assert "OCL_ICD_VENDORS" not in os.environ and "OCL_ICD_FILENAMES" not in os.environ


def test_what_is_no_driver_says_so():
    assert "is no OpenCL driver" in drivers.platforms_of(drivers.Driver(None, "libm.so.6"))
    assert "cannot open" in drivers.platforms_of(drivers.Driver(None, "libnosuch.so"))


# -- what doctor says ------------------------------------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """``machine(vendor)``: a file system with a GPU of that PCI vendor; no OpenCL platform answers."""
    monkeypatch.setattr(drivers, "load", lambda: drivers.Loaded((), None, "", False))
    monkeypatch.setattr(drivers, "intel_is_installed", lambda: False)
    monkeypatch.setattr(drivers, "installed", list)

    def make(vendor, nodes=()):
        folder = tmp_path / "sys/bus/pci/devices/0000:03:00.0"
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(f"{vendor}\n")
        (folder / "class").write_text("0x030000\n")
        for node in nodes:
            file = tmp_path / "dev" / node
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        return tmp_path

    return make


@pytest.mark.parametrize(
    "vendor, hint",
    [("0x1002", "rocm-opencl-icd"), ("0x8086", "intel-opencl-icd"), ("0x10de", "NVIDIA's own driver")],
)
def test_a_gpu_without_a_driver_says_what_to_install(machine, vendor, hint):
    (problem,) = diagnosis.problems([], machine(vendor, ["dri/renderD128"]))
    assert "GPU: not used" in problem.what and hint in problem.hint


def test_a_gpu_the_user_may_not_open_names_the_group(machine, monkeypatch):
    root = machine("0x1002", ["dri/renderD128", "kfd"])
    monkeypatch.setattr(os, "access", lambda *a: False)
    (problem,) = diagnosis.problems([], root)
    assert "may not open" in problem.why and "sudo usermod -aG" in problem.hint


def test_a_gpu_without_device_nodes_hints_at_containers(machine):
    (problem,) = diagnosis.problems([], machine("0x1002"))
    assert "no /dev/dri" in problem.why and "--device /dev/kfd" in problem.hint


def test_a_gpu_in_use_is_no_problem(machine):
    root = machine("0x1002", ["dri/renderD128"])
    used = device_list.described(platforms.candidate(fake_device()), 0)
    assert diagnosis.problems([used], root) == []


def test_rusticl_without_its_variable_says_what_to_set(machine, monkeypatch):
    root = machine("0x8086", ["dri/renderD128"])
    empty = SimpleNamespace(name="rusticl", version="OpenCL 3.0", get_devices=list)
    monkeypatch.setattr(drivers, "load", lambda: drivers.Loaded((empty,), None, "", False))
    monkeypatch.delenv("RUSTICL_ENABLE", raising=False)
    problem = diagnosis.problems([], root)[0]
    assert "RUSTICL_ENABLE is not set" in problem.why and problem.hint == "export RUSTICL_ENABLE=iris"


def test_nothing_at_all_says_what_to_install(machine, tmp_path):
    (problem,) = diagnosis.problems([], tmp_path)
    assert "no OpenCL driver is installed" in problem.why and 'pip install "kcore[opencl]"' in problem.hint
