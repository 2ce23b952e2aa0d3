"""The thread pool: every thunk runs once, errors come back, nested calls do not wait for themselves."""

from __future__ import annotations

import sys
import threading

import pytest

from kcore_numpy import threads


@pytest.fixture(autouse=True)
def two_threads():
    before = threads.count()
    threads.set_count(2)
    yield
    threads.set_count(before)


@pytest.mark.parametrize("number", [0, 1, 2, 3, 17])
def test_every_thunk_runs_once(number):
    done: list[int] = []
    threads.run([lambda i=i: done.append(i) for i in range(number)])
    assert sorted(done) == list(range(number))


def test_two_thunks_run_at_the_same_time():
    barrier = threading.Barrier(2, timeout=10)
    threads.run([barrier.wait, barrier.wait])


@pytest.mark.parametrize("position", [0, 1, 5])
def test_an_error_is_raised_by_the_caller_after_all_have_ended(position):
    done: list[int] = []

    def work(i: int) -> None:
        if i == position:
            raise ValueError(f"thunk {i}")
        done.append(i)

    with pytest.raises(ValueError, match=f"thunk {position}"):
        threads.run([lambda i=i: work(i) for i in range(2 if position < 2 else 6)])
    threads.run([lambda: done.append(-1), lambda: done.append(-2)])  # the pool is still usable
    assert {-1, -2} <= set(done)


def test_a_run_inside_a_run_does_its_work():
    done: list[int] = []
    threads.run([lambda: threads.run([lambda: done.append(1), lambda: done.append(2)])] * 2)
    assert sorted(done) == [1, 1, 2, 2]


def test_several_user_threads_may_run_at_once():
    done: list[int] = []

    def use() -> None:
        for _ in range(50):
            threads.run([lambda: done.append(1)] * 3)

    users = [threading.Thread(target=use) for _ in range(4)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert len(done) == 600


def test_blas_is_held_to_one_thread_and_released():
    from threadpoolctl import ThreadpoolController

    # only NumPy's own: SciPy may have brought another one since
    blas = [x for x in ThreadpoolController().select(user_api="blas").lib_controllers if "numpy" in x.filepath]
    with threads.single_blas(), threads.single_blas():
        assert [library.get_num_threads() for library in blas] == [1] * len(blas)
    assert [library.get_num_threads() for library in blas] == [2] * len(blas)


def test_split_covers_the_range_in_order():
    assert threads.split(7) == [(0, 3), (3, 7)]
    assert threads.split(7, grain=4) == [(0, 7)]
    assert threads.split(0) == []


def test_count_must_be_positive():
    with pytest.raises(ValueError, match="at least one thread"):
        threads.set_count(0)


def test_the_interpreter_lock_is_shared_as_before_when_the_work_is_done():
    def fails() -> None:
        raise ValueError("no")

    before, during = sys.getswitchinterval(), []
    threads.run([lambda: during.append(sys.getswitchinterval())] * 2)
    with pytest.raises(ValueError, match="no"):
        threads.run([fails, fails])
    assert max(during) < before == sys.getswitchinterval()
