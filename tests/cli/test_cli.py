"""The kcore command: what it lists, what it says about broken things, and its exit status."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kcore.cli import main


@pytest.fixture
def kcore(fresh, capsys):
    """``status, out, err = kcore("devices")``."""

    def call(*arguments):
        status = main(arguments)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


COMMAND = """
    from kcore.plugins import Command, hookimpl
    kcore_contract = 1

    def run(args):
        print("hello", args.name)
        return 3

    @hookimpl
    def kcore_commands():
        return [Command("greet", "say hello", run, lambda parser: parser.add_argument("name"))]
"""


BACKEND = """
    import numpy as np
    from kcore.backend.base import Backend, Device, Problem

    class Fake(Backend):
        name = "cl"
        rank = 50
        kcore_contract = 1

        def devices(self):
            details = {{"vendor": "AMD", "units": 96, "fp16": True, "fp64": False}}
            return [Device("cl", 0, "gfx1100", "gpu", 24 << 30, details)][{first}:]

        def unused(self):
            return [(Device("cl", 1, "Old Radeon", "gpu", details={{"vendor": "ATI"}}), "it offers OpenCL 1.1")]

        def problems(self):
            return [Problem("Old Radeon is not used", "it offers OpenCL 1.1", "install a newer driver")]

        def allocate(self, nbytes, device):
            return bytearray(nbytes)

        def view(self, storage, offset, shape, dtype):
            return np.ndarray(shape, dtype, storage, offset)

        upload = download = copy = None
"""


@pytest.fixture
def gpu_backend(install, fresh):
    """``gpu_backend(usable)``: install a backend with a new GPU, if it is usable, and an old one."""

    def make(usable=True):
        files = {"fake_cl_cli.py": BACKEND.format(first=0 if usable else 1)}
        install("cl-dist", "kcore.backends", {"cl": "fake_cl_cli:Fake"}, files)

    return make


def test_without_a_command_the_help_is_shown(kcore):
    status, out, _ = kcore()
    assert status == 0 and "doctor" in out and "devices" in out


def test_version_names_the_backends_too(kcore):
    status, out, _ = kcore("--version")
    assert status == 0 and out.startswith("kcore ") and "kcore-numpy " in out


def test_devices_marks_the_one_in_use_and_says_who_chose_it(kcore, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "numpy")
    status, out, _ = kcore("devices")
    line = next(line for line in out.splitlines() if line.startswith("numpy:0 "))
    assert status == 0 and line.endswith("in use")
    assert "numpy:0 was chosen by: KERAS_BACKEND=numpy" in out


def test_devices_lists_what_is_known_and_what_is_not_used(gpu_backend, kcore):
    gpu_backend()
    status, out, _ = kcore("devices")
    lines = out.splitlines()
    assert status == 0
    at = next(i for i, line in enumerate(lines) if line.startswith("cl:0 "))
    assert lines[at].split() == ["cl:0", "gfx1100", "gpu", "24.0", "GiB", "in", "use"]
    assert lines[at + 1].strip() == "vendor AMD, units 96, fp16 yes, fp64 no"
    assert lines[at + 2].startswith("cl:-") and lines[at + 2].endswith("not used")
    assert lines[at + 3].strip() == "vendor ATI; not used because it offers OpenCL 1.1"


def test_devices_are_listed_even_where_the_wish_is_wrong(gpu_backend, kcore, monkeypatch):
    gpu_backend()
    monkeypatch.setenv("KERAS_BACKEND", "cl:gfx1101")
    status, out, err = kcore("devices")
    assert status == 1
    assert "cl:0 " in out and "has no device 'gfx1101'; did you mean 'gfx1100'" in err


def test_devices_points_to_the_doctor_where_there_is_none(gpu_backend, kcore, monkeypatch):
    gpu_backend(usable=False)
    monkeypatch.setenv("KERAS_BACKEND", "numpy")
    status, out, _ = kcore("devices", "cl")
    assert status == 1 and "no device can be used; `kcore doctor` says why" in out


def test_an_unknown_backend_is_an_error_without_a_traceback(kcore):
    status, _, err = kcore("devices", "opencl")
    assert status == 1
    assert 'pip install "kcore[opencl]"' in err and "Traceback" not in err


def test_an_unknown_command_is_refused(kcore):
    with pytest.raises(SystemExit) as stop:
        kcore("paint")
    assert stop.value.code == 2


def test_plugins_lists_backends_and_what_plugins_bring(kcore, install, plugin_source):
    install("mydist", entries={"mypkg": "mypkg_listed"}, files={"mypkg_listed.py": plugin_source})
    status, out, _ = kcore("plugins")
    assert status == 0
    assert any(line.startswith("backend  numpy") and "kcore-numpy" in line for line in out.splitlines())
    assert any(
        line.split()[:4] == ["plugin", "mypkg", "mydist", "1.0"] and "layers MyLayer" in line
        for line in out.splitlines()
    )


def test_doctor_is_content_where_all_is_well(kcore):
    status, out, _ = kcore("doctor")
    assert status == 0, out
    assert "numpy:0" in out and "chosen by: the best installed backend" in out and "no problem found" in out


def test_doctor_knows_the_kernels_of_the_core():
    command = [sys.executable, "-m", "kcore", "doctor"]  # a process that has compiled nothing yet
    said = subprocess.run(command, capture_output=True, text=True)
    # a backend whose device this machine does not have is a problem, and the status says so
    assert said.returncode in (0, 1) and "in use:" in said.stdout and "have no kernel" not in said.stdout


def test_doctor_says_what_is_broken_why_and_what_to_type(kcore, install):
    install("bad-dist", "kcore.backends", {"bad": "bad_doctor:Bad"}, {"bad_doctor.py": "import no_such_driver"})
    install("old-dist", entries={"old": "old_doctor"}, files={"old_doctor.py": "kcore_contract = 0"})
    status, out, _ = kcore("doctor")
    assert status == 1
    assert "2 problems:" in out
    assert "backend bad\n  why:  backend 'bad' of bad-dist 1.0 cannot be imported" in out
    assert "next: install the package that holds 'no_such_driver'" in out
    assert "plugin old\n  why:  plugin 'old' of old-dist 1.0 was written for contract 0" in out
    assert "next: pip install --upgrade old-dist" in out


def test_doctor_tells_of_a_device_that_is_not_used_but_does_not_fail(gpu_backend, kcore):
    gpu_backend()
    status, out, _ = kcore("doctor")
    assert status == 0
    assert "found but not used:" in out and "next: install a newer driver" in out and "1 problem" not in out


def test_doctor_fails_where_a_backend_has_no_device(gpu_backend, kcore):
    gpu_backend(usable=False)
    status, out, _ = kcore("doctor")
    assert status == 1
    assert "cl (cl-dist 1.0): no device answers" in out and "next: install a newer driver" in out


def test_doctor_reports_malformed_settings(kcore, fresh):
    (fresh / "keras.json").write_text('{"floatx": 3}')
    status, out, _ = kcore("doctor")
    assert status == 1
    assert "keras.json, line 1: 'floatx' should be one of" in out


def test_doctor_reports_a_backend_nobody_installed(kcore, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "opencl")
    status, out, _ = kcore("doctor")
    assert status == 1
    assert "KERAS_BACKEND asks for backend 'opencl', which is not installed" in out
    assert 'next: pip install "kcore[opencl]"' in out


def test_plugins_bring_commands(kcore, install):
    install("cmd-dist", entries={"greeter": "greet_plugin"}, files={"greet_plugin.py": COMMAND})
    status, out, _ = kcore("greet", "world")
    assert (status, out) == (3, "hello world\n")
    assert "say hello (cmd-dist)" in kcore()[1]


def test_the_demo_names_the_pip_command_where_scikit_learn_is_missing(kcore, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    status, _, err = kcore("demo")
    assert status == 1
    assert "the demo needs 'sklearn.datasets', which is not installed; type: pip install \"kcore[demo]\"" in err


def test_the_demo_trains_saves_and_predicts(kcore, tmp_path):
    file = tmp_path / "digits.weights.h5"
    status, out, _ = kcore("demo", "--epochs", "4", "--verbose", "0", "--save", str(file))
    assert status == 0
    accuracy = float(out.split("test accuracy ")[1].split()[0])
    assert accuracy > 0.9, out
    assert file.exists() and f"weights saved in {file}" in out
