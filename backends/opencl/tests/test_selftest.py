"""The self-test of devices: good drivers pass, wrong numbers are refused by name, good results are remembered."""

from __future__ import annotations

import json
import threading
import warnings
from dataclasses import replace

import numpy as np
import pytest

import kcore
from kcore.backend import backend_of, cache
from kcore_opencl import device_list, place, platforms, selftest
from kcore_opencl.cache import CACHE
from kcore_opencl.disk_cache import identity
from kcore_opencl.errors import DeviceRefusedError, OpenCLError


@pytest.fixture
def backend():
    return backend_of("opencl")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("KCORE_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv(selftest.TRUST, raising=False)
    monkeypatch.delenv("KCORE_NO_CACHE", raising=False)
    monkeypatch.setattr(cache, "_said", False)
    return tmp_path


@pytest.fixture
def few(monkeypatch):
    """Two quick trials instead of all, and no measurement."""
    chosen = [t for t in selftest.trials() if t.op in ("exp", "gather")]
    monkeypatch.setattr(selftest, "trials", lambda: chosen)
    monkeypatch.setattr(selftest, "measured", lambda backend, device: selftest.Result(100.0, 1.5))


@pytest.fixture
def wrong_numbers(backend, monkeypatch):
    """A driver whose exponential is off by a thousandth."""
    download = backend.download

    def wrong(array):
        values = download(array)
        return values * np.float32(1.001) if values.shape == (100_003,) else values

    monkeypatch.setattr(backend, "download", wrong)


def test_every_family_is_right(device, backend):
    assert selftest.complaints(backend, device.device, selftest.trials()) == []


def test_trials_are_calls_of_their_ops():
    """Those of ops that have no kernel yet as well."""
    from kcore.graph.op import OPS

    for trial in selftest.trials():
        selftest._add(selftest.Graph(), trial)
        reference = np.asarray(OPS[trial.op].fn(*trial.inputs, **trial.attrs))
        assert selftest.difference(trial, reference) == "", trial


def test_it_covers_what_models_compute_with():
    from kcore.graph.op import OPS

    families = {OPS[t.op].family for t in selftest.trials()}
    assert families >= {
        "elementwise", "reduction", "contraction", "convolution", "pooling", "indexing", "shape", "random", "sorting"
    }  # fmt: skip


def test_it_measures_against_numpy(device, backend):
    result = selftest.measured(backend, device.device)
    assert result.gflops > 1 and 0.01 < result.speedup < 1000


def test_wrong_numbers_are_refused_by_name(device, backend, folder, few, wrong_numbers):
    with pytest.raises(DeviceRefusedError) as caught:
        selftest.check(device.device, device.place.device, backend)
    said = str(caught.value)
    assert f"{device.device} ({device.device.name}" in said and device.device.details["driver"] in said
    assert "exp of float32[100003]: off by up to" in said and "gather" not in said
    assert "KERAS_BACKEND=numpy" in said and f"{selftest.TRUST}=1 uses it all the same" in said
    assert not list(folder.rglob("*.json")), "a bad result is not remembered: a new driver needs nothing else"


def test_kernels_that_fail_are_refused_too(device, backend, folder, few, monkeypatch):
    def failing(*args):
        raise OpenCLError("kernel 'exp' does not compile")

    monkeypatch.setattr(backend, "compile", failing)
    with pytest.raises(DeviceRefusedError, match="kernel 'exp' does not compile"):
        selftest.check(device.device, device.place.device, backend)


def test_who_trusts_the_driver_is_not_asked(device, backend, folder, few, wrong_numbers, monkeypatch):
    monkeypatch.setenv(selftest.TRUST, "1")
    selftest.check(device.device, device.place.device, backend)


def test_a_refused_device_computes_nothing(device, backend, folder, few, wrong_numbers, monkeypatch):
    again = replace(device.device, part=".again")
    place.register(again, device.place.device)
    for _ in range(2):
        with pytest.raises(DeviceRefusedError):
            place.place_of(again)
    monkeypatch.setenv(selftest.TRUST, "1")
    assert place.place_of(again) is place.place_of(again)


def test_threads_wait_for_the_test(device, folder, few, monkeypatch):
    again = replace(device.device, part=".threads")
    place.register(again, device.place.device)
    found, tested = [], []
    check = selftest.check
    monkeypatch.setattr(selftest, "check", lambda *a: (check(*a), tested.append(True)))
    threads = [threading.Thread(target=lambda: found.append((place.place_of(again), list(tested)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(p) for p, _ in found}) == 1 and tested == [True] and all(done == [True] for _, done in found)


# -- remembering -----------------------------------------------------------------------------------------------------


def test_the_second_start_only_reads_a_file(device, backend, folder, few, monkeypatch):
    selftest.check(device.device, device.place.device, backend)
    (file,) = folder.rglob("*.json")
    assert json.loads(file.read_text())["gflops"] == 100.0

    def compile(*args):
        raise AssertionError("tested again")

    monkeypatch.setattr(backend, "compile", compile)
    selftest.check(device.device, device.place.device, backend)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"form": 0}', b'{"form": 1, "gflops": 3}', b"\xff\xfe"])
def test_a_file_of_no_use_is_ignored(device, folder, content):
    driver = device.place.device
    selftest.remember(driver, selftest.Result(10.0, 2.0))
    assert selftest.remembered(driver) == selftest.Result(10.0, 2.0)
    assert CACHE.write(selftest.key(driver), content)
    assert selftest.remembered(driver) is None


def test_another_version_tests_again(device, folder, monkeypatch):
    driver = device.place.device
    selftest.remember(driver, selftest.Result())
    monkeypatch.setattr(selftest, "identity", lambda driver: {**identity(driver), "kcore": "99.0 99.0"})
    assert selftest.remembered(driver) is None


def test_a_folder_that_cannot_be_written_is_said_once(device, backend, folder, few, monkeypatch):
    monkeypatch.setenv("KCORE_CACHE_DIR", "/dev/null/nowhere")
    with pytest.warns(RuntimeWarning, match="cannot write /dev/null/nowhere.*KCORE_CACHE_DIR names another"):
        selftest.check(device.device, device.place.device, backend)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        selftest.check(device.device, device.place.device, backend)


def test_a_full_disk_leaves_no_half_of_a_file(folder, monkeypatch):
    assert CACHE.write("a.json", b"old")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "replace", full)
    with pytest.warns(RuntimeWarning, match="No space left on device"):
        assert not CACHE.write("a.json", b"new")
    assert CACHE.read("a.json") == b"old" and len(list(folder.rglob("*.json*"))) == 1


def test_writers_at_once_leave_one_whole_file(folder):
    texts = [bytes([65 + i]) * 100_000 for i in range(8)]
    threads = [threading.Thread(target=CACHE.write, args=("one.bin", text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert CACHE.read("one.bin") in texts and len(list(folder.rglob("*"))) == 2


@pytest.mark.parametrize("speedup, default", [(1.4, True), (0.8, False), (None, False)])
def test_a_cpu_is_the_default_where_it_was_faster_than_numpy(device, folder, speedup, default):
    if speedup is not None:
        selftest.remember(device.place.device, selftest.Result(300.0, speedup))
    found = device_list.described(platforms.candidate(device.place.device), 0)
    assert found.default is default
    assert ("measured" in found.details["rate"]) is (speedup is not None)


def test_a_model_trains_behind_the_test(device, folder, few):
    before = kcore.backend.current()
    try:
        kcore.use_backend(str(device.device))
        assert kcore.ops.exp(np.zeros(3, "float32")).numpy().tolist() == [1, 1, 1]
    finally:
        kcore.use_backend(str(before))
