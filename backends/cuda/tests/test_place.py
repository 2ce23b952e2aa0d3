"""One GPU at work: memory, transfers that overlap, programs, and what goes wrong."""

from __future__ import annotations

import dataclasses
import gc
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fake_cuda import HOPPER, CUDADriverError, CUDARuntimeError

import kcore
from kcore import layers, ops
from kcore.backend import Device, cache
from kcore.backend.batch import Rows
from kcore.backend.disk_cache import FOLDER
from kcore.codegen import Argument, Code, Source
from kcore.errors import ConfigError
from kcore_cuda import gpus, settings, staging
from kcore_cuda import place as place_module
from kcore_cuda.errors import BuildError, CUDAError, DeviceLostError, ForkedError
from kcore_cuda.launch import Launch
from kcore_cuda.place import OVERLAPPED, STAGED, Place
from kcore_cuda.programs import Programs


@pytest.fixture
def fresh(machine):
    """``fresh()``: the state of a GPU that nobody has used."""
    return lambda gpu=HOPPER: Place(Device("cuda", gpu.ordinal, gpu.name, "gpu", gpu.memory), gpu)


# -- transfers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [7, 5_000, STAGED // 4 + 1])
def test_what_is_uploaded_may_change_at_once(here, n):
    values = np.arange(n, dtype="float32")
    array = here.array((n,), "float32")
    here.write(array, values)
    values[:] = -1
    np.testing.assert_array_equal(here.read(array), np.arange(n, dtype="float32"))


@pytest.mark.parametrize("eager", [True, False])
def test_batches_arrive_in_order_however_early_or_late_they_are_sent(fresh, machine, monkeypatch, eager):
    """The input buffer is read by one step while the next batch is on its way; each must see its own."""
    monkeypatch.setattr(machine, "eager_uploads", eager)
    place = fresh()
    data = np.random.default_rng(1).normal(size=(64, OVERLAPPED // 8)).astype("float32")
    batch = place.array((4, data.shape[1]), "float32")
    seen = [place.array(batch.shape, "float32") for _ in range(12)]
    order = np.random.default_rng(2).permutation(48).reshape(12, 4)
    for rows, result in zip(order, seen, strict=True):
        place.gather(batch, Rows(data, rows))
        place.copy(result, batch)  # a step that reads it
        place.stepped()
    for rows, result in zip(order, seen, strict=True):
        np.testing.assert_array_equal(place.read(result), data[rows])


def test_small_batches_go_without_a_landing(fresh, machine):
    place = fresh()
    batch = place.array((4,), "float32")
    place.gather(batch, Rows(np.arange(16.0, dtype="float32"), np.array([3, 1, 2, 0])))
    np.testing.assert_array_equal(place.read(batch), [3, 1, 2, 0])
    assert machine.calls.count("copy") == 2


def test_staging_memory_is_used_again(fresh, machine):
    place = fresh()
    before = len(machine._pinned)
    data = np.ones((64, OVERLAPPED), "float32")
    batch = place.array((4, OVERLAPPED), "float32")
    for _ in range(50):
        place.gather(batch, Rows(data, slice(0, 4)))
        place.stepped()
    assert len(machine._pinned) - before <= 4


def test_staging_memory_of_ever_new_sizes_does_not_grow(fresh, machine):
    place = fresh()
    before, data = len(machine._pinned), np.arange(1 << 20, dtype="float32")
    for turn in range(3):
        for size in range(100, 400_000, 9_973):
            batch = place.array((size,), "float32")
            place.gather(batch, Rows(data, slice(turn, size + turn)))
            np.testing.assert_array_equal(place.read(batch), data[turn : size + turn])
    assert len(machine._pinned) - before <= staging.SLOTS


def test_the_host_waits_for_staging_memory_where_there_may_be_no_more(fresh, machine, monkeypatch):
    monkeypatch.setattr(staging, "SLOTS", 2)
    machine.eager_uploads = False
    place, data = fresh(), np.arange(64.0, dtype="float32").reshape(8, 8)
    batches = [place.array((8,), "float32") for _ in range(8)]
    for row, batch in enumerate(batches):
        place.gather(batch, Rows(data.reshape(-1), slice(8 * row, 8 * row + 8)))
    machine.eager_uploads = True
    assert "wait" in machine.calls
    for row, batch in enumerate(batches):
        np.testing.assert_array_equal(place.read(batch), data[row])


def test_an_empty_array_moves_nothing(here, machine):
    array = here.array((0, 3), "float32")
    here.write(array, np.zeros((0, 3), "float32"))
    assert here.read(array).shape == (0, 3)
    here.copy(array, array)


def test_memory_is_given_back_behind_what_still_uses_it(fresh, machine):
    place = fresh()
    for size in (1 << 25, 1 << 20):
        first = place.array((size // 4,), "float32")
        values = np.arange(size // 4, dtype="float32")
        place.write(first, values)
        second = place.array(first.shape, "float32")
        place.copy(second, first)
        del first
        gc.collect()
        np.testing.assert_array_equal(place.read(second), values)


def test_no_array_lies_on_another(fresh):
    place, choose, held = fresh(), random.Random(1), []
    for _ in range(400):
        if held and choose.random() < 0.45:
            held.pop(choose.randrange(len(held)))
        else:
            held.append(place.array((choose.choice([100, 25_000, 600_000]),), "float32"))
    placed = sorted((a.ptr, a.ptr + a.nbytes) for a in held)
    assert all(end <= begin for (_, end), (begin, _) in zip(placed, placed[1:], strict=False))
    assert all(begin % 64 == 0 for begin, _ in placed)


def test_another_gpu_is_the_current_one_only_while_it_works(fresh, machine):
    place = fresh(dataclasses.replace(HOPPER, ordinal=1))
    seen = []
    with place.working():
        seen.append(machine.device)
    assert seen == [1] and machine.device == 0


def test_a_thread_may_begin_with_a_launch(here, machine):
    array = here.array((1,), "float32")
    launch = Launch(here, Code((SOURCES[0],)), [], [array], None)
    launch.prepare()
    raised = []

    def work():
        try:
            launch()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not raised and machine.calls.count("launch") == 1


# -- the end of memory -----------------------------------------------------------------------------------------------


def test_the_limit_is_kept_and_named(fresh, monkeypatch):
    monkeypatch.setenv(settings.MEMORY, "64MiB")
    place = fresh()
    held = place.array((48 << 20,), "uint8")
    with pytest.raises(MemoryError, match=r"exceed the limit of 67,108,864 \(KCORE_CUDA_MEMORY_LIMIT\)"):
        place.array((32 << 20,), "uint8")
    del held
    gc.collect()
    place.array((32 << 20,), "uint8")


def test_out_of_memory_says_what_was_asked_and_what_would_fit(machine, here, monkeypatch):
    monkeypatch.setattr("kcore.backend.compile._arenas", {})
    net = kcore.Sequential([kcore.Input((20,)), layers.Dense(3000, name="wide"), layers.Dense(1)])
    net.compile("sgd", "mse")
    x, y = np.ones((6000, 20), "float32"), np.ones((6000, 1), "float32")
    monkeypatch.setattr(machine, "memory_left", 40 << 20)
    monkeypatch.setattr("kcore_cuda.backend.CUDABackend.held", lambda self, d: d.memory - (30 << 20))
    with pytest.raises(MemoryError) as caught:
        net.fit(x, y, batch_size=6000, verbose=0)
    message = str(caught.value)
    for part in ("has no room for", "refused", "the largest values", "wide", "batch size is 6000; about"):
        assert part in message, message


# -- programs --------------------------------------------------------------------------------------------------------


def source(name: str, body: str) -> Source:
    """A kernel of one work-item."""
    text = f'// model/{name}: full\nextern "C" __global__ __launch_bounds__(1)\nvoid {name}(\n    float *y0)\n{{\n'
    return Source(name, f"{text}    {body}\n}}\n", (Argument("y0", "output", "float32"),), 1, 1, "cuda")


SOURCES = [source("first", "y0[0] = 2.0f;"), source("second", "y0[0] = 4.0f;")]


@pytest.fixture
def folder(machine, tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("KCORE_CACHE_DIR", str(tmp_path / "own"))
    monkeypatch.setattr(cache, "_said", False)
    return tmp_path / "own" / "cuda" / FOLDER


def built(*sources: Source, architecture: str = "sm_90") -> tuple[int, int]:
    """What a new process compiles and what it loads."""
    programs = Programs("cuda:0 (a GPU)", architecture)
    programs.build(sources or SOURCES)
    for one in sources or SOURCES:
        assert programs.function(one)
    return programs.compiled, programs.loaded


def test_the_second_process_compiles_nothing(folder):
    assert built() == (2, 0)
    assert built() == (0, 2)


def test_machine_code_of_another_gpu_or_compiler_is_not_used(folder, machine, monkeypatch):
    assert built() == (2, 0)
    assert built(architecture="sm_80") == (2, 0)
    monkeypatch.setattr(machine.nvrtc, "getVersion", lambda: (13, 1))
    assert built() == (2, 0)


@pytest.mark.parametrize("damage", ["torn", "no program"])
def test_a_damaged_file_is_ignored_and_written_again(folder, damage):
    built()
    (file,) = folder.iterdir()
    content = file.read_bytes()
    if damage == "torn":
        file.write_bytes(content[:-9])
    else:  # what this driver does not load
        file.write_bytes(content.replace(b"\nFAKE", b"\nREAL"))
    assert built() == (2, 0)
    assert built() == (0, 2)


def test_a_folder_that_cannot_be_written_is_said_once(machine, tmp_path, monkeypatch, recwarn):
    monkeypatch.setattr(cache, "_said", False)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KCORE_CACHE_DIR", str(tmp_path / "file"))
    assert built() == (2, 0) and built() == (2, 0)
    assert len([w for w in recwarn if "kcore cannot write" in str(w.message)]) == 1


def test_processes_that_fill_one_cache_at_once_leave_it_whole(folder):
    """Threads with programs of their own stand for them: all they share is the folder."""
    many = [source(f"kernel{i}", f"y0[0] = {i}.0f;") for i in range(12)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: built(*many[i % 3 :]), range(8)))
    assert all(sum(one) > 0 for one in found)
    assert built(*many)[0] == 0


def test_kernels_are_dumped(machine, tmp_path, monkeypatch):
    monkeypatch.setenv("KCORE_DUMP_KERNELS", str(tmp_path / "dumped"))
    built()
    first = SOURCES[0]
    assert (tmp_path / "dumped" / f"first-{first.key[:8]}.cu").read_text() == first.text


def test_a_kernel_that_does_not_compile_is_named_with_its_line(folder):
    broken = source("dense_add", "y0[0] = does_not_compile;")
    with pytest.raises(BuildError) as caught:
        built(SOURCES[0], broken)
    message = str(caught.value)
    assert "kernel 'dense_add' does not compile on cuda:0 (a GPU), sm_90" in message
    assert "made for model/dense_add: full" in message and 'identifier "missing" is undefined' in message
    assert "y0[0] = does_not_compile;" in message


def test_arguments_lie_as_cuda_reads_them(here, machine):
    """A pointer is the array's own, whatever its place in a buffer; what says where it begins is 0."""
    text = (
        'extern "C" __global__ __launch_bounds__(4)\nvoid scale(\n    const float *x0,\n    const long long x0_start,\n'
        "    float *y0,\n    const long long y0_start,\n    const int n,\n    const long long far)\n{\n}\n"
    )
    arguments = (
        Argument("x0", "input", "float32", 0), Argument("x0_start", "start", "int64", 0),
        Argument("y0", "output", "float32", 0), Argument("y0_start", "start", "int64", 2),
        Argument("n", "size", "int32", value=-3), Argument("far", "size", "int64", value=1 << 40),
    )  # fmt: skip
    here.synchronize()
    machine.launched.clear()
    x, y = here.array((7,), "float32"), here.array((7,), "float32")
    Launch(here, Code((Source("scale", text, arguments, 4, 2, "cuda"),)), [x.row(3)], [y], None)()
    here.synchronize()
    (launched,) = machine.launched
    assert launched.groups == 2
    assert launched.arguments == {"x0": x.ptr + 12, "x0_start": 0, "y0": y.ptr, "y0_start": 0, "n": -3, "far": 1 << 40}


def test_a_source_without_work_is_not_launched(here, machine):
    Launch(here, Code((dataclasses.replace(SOURCES[0], groups=0),)), [], [here.array((1,), "float32")], None)()
    assert "launch" not in machine.calls


# -- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [700, 719])
def test_a_broken_context_is_told_and_nothing_more_is_tried(fresh, machine, monkeypatch, code):
    place = fresh()
    array = place.array((4,), "float32")
    monkeypatch.setattr(machine, "failing", code)
    with pytest.raises(DeviceLostError) as first:
        place.read(array)
    message = str(first.value)
    assert "cuda:0 (NVIDIA Fake H100) stopped computing" in message and "start Python again" in message
    machine.failing = 0
    for again in (lambda: place.read(array), lambda: place.array((3,), "float32"), place.synchronize):
        with pytest.raises(DeviceLostError) as later:
            again()
        assert str(later.value) == message


def test_a_library_that_failed_because_the_context_is_broken(fresh, machine, monkeypatch):
    class LibraryError(RuntimeError):
        status = 13

    place = fresh()
    monkeypatch.setattr(machine, "failing", 700)
    with pytest.raises(DeviceLostError, match="cudaErrorIllegalAddress"), place.working():
        raise LibraryError("CUBLAS_STATUS_EXECUTION_FAILED")


def test_other_errors_name_the_device(fresh):
    place = fresh()
    with pytest.raises(CUDAError, match=r"cuda:0 \(NVIDIA Fake H100\): cudaError1"), place.working():
        raise CUDADriverError(1)
    with place.working():
        pass


def test_the_end_of_memory_is_a_memory_error(fresh):
    with pytest.raises(MemoryError, match="has no memory left"), fresh().working():
        raise CUDARuntimeError(2)


def test_a_failing_step_names_op_and_layer(machine, monkeypatch):
    net = kcore.Sequential([kcore.Input((3,)), layers.Dense(2, activation="tanh", name="head")])
    x = np.ones((4, 3), "float32")
    net.predict(x, verbose=0)

    def refuse(*arguments):
        raise CUDADriverError(1)

    monkeypatch.setattr(machine.driver, "launchKernel", refuse)
    with pytest.raises(CUDAError) as caught:
        kcore.Sequential([kcore.Input((3,)), layers.Dense(5, activation="tanh", name="head")]).predict(x, verbose=0)
    assert any("in kernel" in note and "head" in note for note in caught.value.__notes__)


def test_a_fork_is_told_what_to_do(fresh, monkeypatch):
    place = fresh()
    monkeypatch.setattr(gpus, "_initialised_in", os.getpid() + 1)
    with pytest.raises(ForkedError, match="forked after CUDA was initialised in its parent.*spawn"):
        place.synchronize()


@pytest.mark.parametrize("text", ["-1GiB", "lots", "0%"])
def test_a_limit_of_memory_that_is_none_is_told_when_the_gpu_is_first_used(fresh, monkeypatch, text):
    monkeypatch.setenv(settings.MEMORY, text)
    with pytest.raises(ConfigError, match=f"{settings.MEMORY}='{text}' is neither a size"):
        fresh()


def test_a_misspelt_setting_is_warned_of_when_a_gpu_is_first_used(machine, monkeypatch):
    monkeypatch.setattr(place_module, "_places", {})
    monkeypatch.setenv("KCORE_CUDA_GRAPH", "0")
    with pytest.warns(
        RuntimeWarning, match="KCORE_CUDA_GRAPH is no setting of kcore; did you mean 'KCORE_CUDA_GRAPHS'"
    ):
        place_module.place_of(kcore.backend.current().device)


# -- steps -----------------------------------------------------------------------------------------------------------


def test_nothing_grows_over_steps(machine, here):
    net = kcore.Sequential([kcore.Input((20,)), layers.Dense(30), layers.Dense(1)])
    net.compile("adam", "mse")
    x, y = np.ones((64, 20), "float32"), np.ones((64, 1), "float32")
    for _ in range(3):
        net.fit(x, y, batch_size=8, epochs=2, verbose=0)
        net.predict(x, verbose=0)
    gc.collect()
    before = here.pool.nbytes, len(machine._pinned), len(machine._events), len(machine._executables)
    net.fit(x, y, batch_size=8, epochs=10, verbose=0)
    for _ in range(10):
        net.predict(x, verbose=0)
    gc.collect()
    assert (here.pool.nbytes, len(machine._pinned), len(machine._events), len(machine._executables)) == before


def test_a_result_is_a_snapshot(computing):
    v = kcore.Variable(np.ones(4, "float32"))
    step = kcore.function(lambda: v.assign_add(ops.ones((4,))))
    results = [step() for _ in range(5)]
    kept = v.value
    step()
    for i, result in enumerate(results):
        np.testing.assert_array_equal(result.numpy(), np.full(4, i + 2.0))
    np.testing.assert_array_equal(kept.numpy(), np.full(4, 6.0))
