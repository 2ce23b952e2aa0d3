"""Launches over threads: results as in program order, waits only where memory is shared, errors without a hang."""

from __future__ import annotations

import threading
import time
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcore_numpy import schedule, threads
from kcore_numpy.schedule import Job, Jobs

PLACES = st.integers(0, 4)


@pytest.fixture(autouse=True)
def two_threads():
    before = threads.count()
    threads.set_count(2)
    yield
    threads.set_count(before)


def site(inputs, outputs):
    return SimpleNamespace(inputs=tuple(inputs), outputs=tuple(outputs), scratch=None)


def launch(thunk, reads, writes, cost=500.0):
    """A launch of one job."""
    return site(reads, writes), Jobs([Job(thunk, reads, writes, cost)])


def run(arranged):
    for thunk, _ in arranged:
        thunk()


def test_independent_jobs_share_one_layout_over_two_lanes():
    a, b = np.zeros(64), np.zeros(64)
    arranged = schedule.arrange([launch(partial(a.fill, 1), [], [a]), launch(partial(b.fill, 2), [], [b])])
    (together, steps), *rest = arranged
    assert not rest and steps == [0, 1]
    assert isinstance(together, schedule._Together) and len(together.lanes) == 2


def test_a_job_that_reads_anothers_result_waits_for_it():
    a, b, c = np.zeros(64), np.zeros(64), np.zeros(64)

    def slow():
        time.sleep(0.02)
        a.fill(3)

    launches = [
        launch(slow, [], [a], 900.0),
        launch(partial(b.fill, 1), [], [b], 900.0),
        launch(partial(np.add, a, b, c), [a, b], [c], 900.0),
    ]
    arranged = schedule.arrange(launches)
    for _ in range(3):  # the bells are closed again after each run
        c.fill(0)
        run(arranged)
        assert c.tolist() == [4.0] * 64


def test_a_job_that_overwrites_what_another_reads_waits_for_it():
    a, b = np.ones(64), np.zeros(64)

    def slow():
        time.sleep(0.02)
        np.copyto(b, a)

    run(schedule.arrange([launch(slow, [a], [b], 900.0), launch(partial(a.fill, 7), [], [a], 900.0)]))
    assert b.tolist() == [1.0] * 64 and a.tolist() == [7.0] * 64


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4), st.integers(1, 900)), min_size=2, max_size=24
    )
)
def test_any_program_gives_what_program_order_gives(program):
    def execute(runner):
        arrays = [np.full(32, float(i + 1)) for i in range(5)]
        launches = []
        for x, y, out, cost in program:

            def work(x=arrays[x], y=arrays[y], out=arrays[out]):
                np.copyto(out, np.sin(x) + 0.5 * y)

            launches.append(launch(work, [arrays[x], arrays[y]], [arrays[out]], float(cost)))
        runner(launches)
        return np.array(arrays)

    expected = execute(lambda launches: [thunk() for _, thunk in launches])
    np.testing.assert_array_equal(execute(lambda launches: run(schedule.arrange(launches))), expected)


def test_an_error_reaches_the_caller_and_the_next_run_works():
    a, b, c = np.zeros(8), np.zeros(8), np.zeros(8)
    broken = [True]

    def fails():
        if broken[0]:
            raise ValueError("no")
        a.fill(1)

    arranged = schedule.arrange(
        [
            launch(partial(b.fill, 1), [], [b], 900.0),
            launch(fails, [], [a], 900.0),
            launch(partial(np.add, a, b, c), [a, b], [c], 900.0),
        ]
    )
    with pytest.raises(ValueError, match="no") as caught:
        run(arranged)
    assert caught.value.launch == 1
    broken[0] = False
    run(arranged)
    assert c.tolist() == [2.0] * 8


def test_a_taken_pool_means_program_order_not_a_deadlock():
    a, b, c = np.zeros(8), np.zeros(8), np.zeros(8)
    arranged = schedule.arrange(
        [
            launch(partial(a.fill, 1), [], [a], 900.0),
            launch(partial(b.fill, 1), [], [b], 900.0),
            launch(partial(np.add, a, b, c), [a, b], [c], 900.0),
        ]
    )
    held, leave = threading.Event(), threading.Event()

    def hold():
        held.set()
        assert leave.wait(10)

    holder = threading.Thread(target=partial(threads.run, [hold, lambda: None]))
    holder.start()
    assert held.wait(10)
    try:
        run(arranged)
        assert c.tolist() == [2.0] * 8
    finally:
        leave.set()
        holder.join()


def test_small_jobs_stay_on_the_calling_thread():
    a, b = np.zeros(8), np.zeros(8)
    arranged = schedule.arrange([launch(partial(a.fill, 1), [], [a], 3.0), launch(partial(b.fill, 1), [], [b], 3.0)])
    assert not any(isinstance(thunk, schedule._Together) for thunk, _ in arranged)


def test_a_large_launch_without_jobs_runs_alone():
    big = np.zeros(schedule.SMALL)
    alone = (site([big], [big]), lambda: None)
    a = np.zeros(8)
    arranged = schedule.arrange([launch(partial(a.fill, 1), [], [a]), alone, launch(partial(a.fill, 2), [], [a])])
    assert [steps for _, steps in arranged] == [[0], [1], [2]]


@pytest.mark.parametrize("cost", [3.0, 5000.0])
def test_one_thread_does_a_launch_whole_and_two_do_its_pieces(cost):
    done = []
    halves = [np.zeros(8), np.zeros(8)]
    jobs = Jobs(
        [Job(partial(done.append, i), [], [half], cost) for i, half in enumerate(halves)], lambda: done.append(9)
    )
    run(schedule.arrange([(site([], halves), jobs)]))
    jobs()
    assert sorted(done) == ([9, 9] if cost < schedule.WORTH else [0, 0, 1, 1])
