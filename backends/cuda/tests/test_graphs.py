"""A step is recorded once as a CUDA graph and replayed; what cannot be recorded is said."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from fake_cuda import CUDARuntimeError, Misuse

import kcore
from kcore import layers, ops
from kcore_cuda import graphs, settings
from kcore_cuda.errors import CaptureError, CUDAError
from kcore_cuda.graphs import Run
from kcore_cuda.launch import Call


def model():
    kcore.set_random_seed(1)
    net = kcore.Sequential([kcore.Input((6,)), layers.Dense(5, activation="tanh"), layers.Dense(1)])
    net.compile("sgd", "mse")
    return net


X, Y = np.ones((8, 6), "float32"), np.ones((8, 1), "float32")


def test_a_step_is_one_launch_from_its_third_run_on(machine):
    net = model()
    for _ in range(2):
        net.train_on_batch(X, Y)
    assert machine.calls.count("begin") == machine.calls.count("end") == 1
    machine.calls.clear()
    net.train_on_batch(X, Y)
    assert machine.calls.count("graph") == 1 and "begin" not in machine.calls
    assert machine.calls.count("launch") <= 4, "only reading the metrics launches kernels of its own"


def test_the_plan_says_what_is_a_graph(machine):
    step = kcore.function(lambda x: (ops.tanh(x), ops.sum(x, axis=0), ops.cumsum(x, axis=0)))
    x = np.ones((4, 3), "float32")
    step(x)
    assert "run 0 to 2: 3 as one CUDA graph, recorded at the second run" in str(step.concrete(x).plan)
    step(x)
    assert str(step.concrete(x).plan).endswith("run 0 to 2: 3 as one CUDA graph")


def test_graphs_can_be_switched_off(machine, monkeypatch):
    monkeypatch.setenv(settings.GRAPHS, "0")
    net = model()
    for _ in range(4):
        net.train_on_batch(X, Y)
    assert "begin" not in machine.calls and "graph" not in machine.calls


def test_a_step_that_is_bound_anew_is_recorded_anew(computing, monkeypatch):
    @kcore.function
    def step(x):
        return ops.sum(ops.tanh(x) * ops.cos(x), axis=0), ops.max(x, axis=1), ops.min(x, axis=0)

    x = np.random.default_rng(1).normal(size=(40, 30)).astype("float32")
    for _ in range(3):
        step(x)
    larger = np.random.default_rng(1).normal(size=(4000, 300)).astype("float32")
    for _ in range(3):
        step(larger)  # the arena grows and moves
    computing.calls.clear()
    for values in (x, x, x, larger):
        for mine, other in zip(
            step(values), (np.sum(np.tanh(values) * np.cos(values), 0), values.max(1), values.min(0)), strict=True
        ):
            np.testing.assert_allclose(mine.numpy(), other, rtol=1e-4, atol=1e-3)
    assert computing.calls.count("begin") == 1


def test_graphs_are_freed_with_their_step(machine):
    gc.collect()
    before = len(machine._executables)
    net = model()
    for _ in range(3):
        net.train_on_batch(X, Y)
    assert len(machine._executables) > before
    assert not machine._graphs
    del net
    gc.collect()
    assert len(machine._executables) == before


def calls(here, count, work):
    return Run([Call(here, work) for _ in range(count)], range(count))


def test_what_cannot_be_recorded_is_tried_again_said_once_and_goes_on(here, machine, recwarn):
    done = []

    def refusing():
        if here.recording:
            raise CUDARuntimeError(900)
        done.append(1)

    run = calls(here, 4, refusing)
    for _ in range(graphs.ATTEMPTS):
        run()
    assert not recwarn.list and machine.calls.count("begin") == graphs.ATTEMPTS - 1
    with pytest.warns(RuntimeWarning, match="a graph could not be recorded"):
        run()
    run()
    assert len(done) == 4 * (graphs.ATTEMPTS + 2) and "could not be recorded" in str(run.title)
    assert machine.calls.count("begin") == machine.calls.count("end") == graphs.ATTEMPTS


def test_a_recording_that_another_thread_broke_is_made_the_next_time(here, machine):
    broken = [True]

    def work():
        if here.recording and broken:
            broken.clear()
            raise CUDARuntimeError(901)  # cudaErrorStreamCaptureInvalidated

    run = calls(here, 4, work)
    for _ in range(4):
        run()
    assert machine.calls.count("graph") == 2 and str(run.title) == "4 as one CUDA graph"


@pytest.mark.parametrize("when", ["begin", "within"])
def test_ctrl_c_while_a_graph_is_recorded_leaves_a_stream_that_works(here, machine, monkeypatch, when):
    begin, pressed = machine.runtime.streamBeginCapture, []

    def press():
        if not pressed:
            pressed.append(1)
            raise KeyboardInterrupt

    def begun(stream, mode):
        begin(stream, mode)
        if when == "begin":
            press()

    monkeypatch.setattr(machine.runtime, "streamBeginCapture", begun)
    run = calls(here, 3, lambda: press() if here.recording and when == "within" else None)
    run()
    with pytest.raises(KeyboardInterrupt):
        run()
    assert not here.recording and gc.isenabled() and not machine._graphs
    array = here.array((4,), "float32")
    here.write(array, np.ones(4, "float32"))
    np.testing.assert_array_equal(here.read(array), np.ones(4))
    run()
    run()
    assert machine.calls.count("graph") == 2


def test_few_calls_are_no_graph(here, machine):
    run = calls(here, graphs.LEAST - 1, lambda: None)
    for _ in range(3):
        run()
    assert "begin" not in machine.calls and str(run.title).endswith(f"fewer than {graphs.LEAST}")


def test_a_call_is_prepared_once_and_before_it_is_recorded(here):
    prepared = []
    run = Run([Call(here, lambda: None, prepare=lambda: prepared.append(here.recording)) for _ in range(3)], range(3))
    for _ in range(3):
        run()
    assert prepared == [False] * 3


def test_nothing_is_allocated_read_or_awaited_while_a_graph_is_recorded(here):
    array = here.array((4,), "float32")
    for forbidden in (
        lambda: here.allocate(1 << 26),
        lambda: here.read(array),
        lambda: here.write(array, np.zeros(4, "float32")),
        here.synchronize,
    ):
        with here.capturing(), pytest.raises(CaptureError, match="while a CUDA graph is being recorded on cuda:0"):
            forbidden()


def test_the_fake_sees_what_is_forbidden(here, machine):
    machine.runtime.streamBeginCapture(here.stream, 1)
    with pytest.raises(Misuse, match="hostAlloc while a graph is recorded"):
        machine.runtime.hostAlloc(64, 0)
    machine.runtime.graphDestroy(machine.runtime.streamEndCapture(here.stream))


def test_garbage_is_not_collected_while_a_graph_is_recorded(here):
    seen = []
    run = calls(here, 3, lambda: seen.append((here.recording, gc.isenabled())))
    run()
    run()
    assert (True, True) not in seen and (True, False) in seen and gc.isenabled()


def test_control_flow_runs_between_graphs_and_says_so(computing):
    @kcore.function
    def step(x):
        x = ops.tanh(x) * 2.0
        x = ops.cond(ops.sum(x) > 0, lambda: x + 1.0, lambda: x - 1.0)
        return ops.exp(x)

    for sign in (1, -1, 1, -1):
        x = np.full((5,), sign, "float32")
        plan = str(step.concrete(x).plan)
        np.testing.assert_allclose(step(x).numpy(), np.exp(np.tanh(x) * 2 + sign), rtol=1e-5)
    assert "op 'cond' between graphs: it asks the device which way to go" in plan


def test_a_loop_of_known_length_is_part_of_the_graph(computing):
    @kcore.function
    def step(x):
        def body(carry, row):
            carry = ops.tanh(carry + row) * 0.5
            return carry, carry * 2.0

        last, rows = ops.scan(body, ops.zeros((3,)), ops.tanh(x))
        return ops.exp(last), ops.sum(rows, axis=0) - 1.0

    def turn(carry, row):
        carry = ops.tanh(carry * 2.0 + row)
        return carry, carry

    alone = kcore.function(lambda x: ops.scan(turn, ops.zeros((3,)), x)[0])

    x = np.random.default_rng(1).normal(size=(6, 3)).astype("float32")
    carry, rows = np.zeros(3, "float32"), []
    for row in np.tanh(x):
        carry = np.tanh(carry + row) * 0.5
        rows.append(carry * 2)
    for _ in range(4):
        last, total = step(x)
        np.testing.assert_allclose(last.numpy(), np.exp(carry), rtol=1e-5)
        np.testing.assert_allclose(total.numpy(), np.sum(rows, 0) - 1, rtol=1e-5)
    assert "as one CUDA graph" in str(step.concrete(x).plan) and "between graphs" not in str(step.concrete(x).plan)
    computing.calls.clear()
    step(x)
    assert computing.calls.count("graph") == 1 and "launch" not in computing.calls
    wanted = np.zeros(3, "float32")
    for row in x:
        wanted = np.tanh(wanted * 2 + row)
    for _ in range(4):
        np.testing.assert_allclose(alone(x).numpy(), wanted, rtol=1e-4)
    assert "1 as one CUDA graph" in str(alone.concrete(x).plan)


def test_the_host_never_runs_more_than_two_steps_ahead(machine):
    net = model()
    for _ in range(3):
        net.train_on_batch(X, Y)
    step = net.train_function if hasattr(net, "train_function") else net.make_train_function()
    machine.calls.clear()
    net.fit(np.ones((80, 6), "float32"), np.ones((80, 1), "float32"), batch_size=8, epochs=1, verbose=0)
    assert step is not None
    assert machine.calls.count("wait") >= 7


def test_an_error_names_the_launch(here):
    def broken():
        raise CUDARuntimeError(1)

    run = Run([Call(here, lambda: None), Call(here, broken)], [3, 7])
    with pytest.raises(CUDAError) as caught:
        run()
    assert caught.value.launch == 7
