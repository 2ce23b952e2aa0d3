"""`PyDataset`: batches by number, whoever makes them, in order; hooks; errors; nothing left running."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback

import numpy as np
import pytest

import kcore
from kcore import callbacks, layers, optimizers, set_random_seed
from kcore.models import Sequential
from kcore.training.sources.py_dataset import PyDataset, PyDatasetBatches

WORKERS = [{"workers": 0}, {"workers": 1}, {"workers": 3}, {"workers": 2, "use_multiprocessing": True}]
NAMES = ["main thread", "a thread", "threads", "processes"]


class Numbers(PyDataset):
    """Batches that hold their own number."""

    def __init__(self, count=5, **options):
        super().__init__(**options)
        self.count, self.calls = count, []

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.calls.append(index)
        time.sleep(0.001 * (self.count - index))  # later ones are done sooner
        return np.full((2, 1), index, "float32"), np.full((2, 1), os.getpid(), "float64")

    def on_epoch_begin(self):
        self.calls.append("begin")

    def on_epoch_end(self):
        self.calls.append("end")


class Drawn(Numbers):
    def __getitem__(self, index):
        return np.random.rand(2, 1), np.zeros((2, 1))


class Broken(Numbers):
    def __getitem__(self, index):
        if index == 2:
            raise IndexError("no file 2")  # the line of the traceback
        return super().__getitem__(index)


def linear(**compiled):
    model = Sequential([layers.Input((1,)), layers.Dense(1)])
    model.compile(**{"optimizer": optimizers.SGD(0.0), "loss": "mse", **compiled})
    return model


def trained(**options):
    model = linear()
    model.fit(np.zeros((2, 1)), np.zeros((2, 1)), verbose=0)
    return model


@pytest.fixture(autouse=True)
def nothing_runs_on():
    yield
    assert not [t for t in threading.enumerate() if t.name == "kcore batches"]
    assert not multiprocessing.active_children()


def order(source):
    iterator = source.batches()
    source.allow(source.num_batches)
    numbers = [int(np.asarray(x)[0, 0]) for x, _ in iterator]
    source.close()
    return numbers


@pytest.mark.parametrize("options", WORKERS, ids=NAMES)
class TestWorkers:
    def test_batches_come_in_the_order_they_were_asked_for(self, options):
        assert order(PyDatasetBatches(Numbers(**options))) == [0, 1, 2, 3, 4]

    def test_shuffling_asks_in_another_order_every_epoch_and_the_same_for_a_seed(self, options):
        set_random_seed(4)
        source = PyDatasetBatches(Numbers(8, **options), shuffle=True)
        first, second = order(source), order(source)
        assert sorted(first) == sorted(second) == list(range(8)) and first != second
        set_random_seed(4)
        assert order(PyDatasetBatches(Numbers(8, **options), shuffle=True)) == first

    def test_an_error_shows_the_line_of_the_data_set_and_leaves_nothing_running(self, options):
        model, seen = trained(), []

        class Note(callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                seen.append(batch)

        with pytest.raises(IndexError, match="no file 2") as caught:
            model.fit(Broken(**options), shuffle=False, verbose=0, callbacks=[Note()])
        assert "# the line of the traceback" in "".join(traceback.format_exception(caught.value))
        assert seen == [0, 1], "the batches before it were trained on"
        model.fit(Numbers(), verbose=0)

    def test_an_epoch_ends_in_mid_pass_and_nothing_is_lost(self, options):
        model, used = trained(), []
        data = Numbers(5, **options)
        model.predict(data, verbose=0)

        class Note(callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                used.append(logs["loss"])

        with pytest.warns(UserWarning, match=r"x is a Numbers: it gave 1 of 2 batches \(steps_per_epoch=2\)"):
            model.fit(data, steps_per_epoch=2, epochs=4, shuffle=False, verbose=0, callbacks=[Note()])
        assert len(used) == 4

    def test_ctrl_c_stops_the_workers(self, options):
        class Press(callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                if batch == 1:
                    os.kill(os.getpid(), signal.SIGINT)

        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with pytest.raises(KeyboardInterrupt):
                trained().fit(Numbers(20, **options), verbose=0, callbacks=[Press()])
        finally:
            signal.signal(signal.SIGINT, before)


def test_evaluate_and_predict_ask_in_order_and_once():
    model, data = trained(), Numbers(3, workers=0)
    model.set_weights([np.ones((1, 1)), np.zeros(1)])
    assert model.predict(data, verbose=0)[:, 0].tolist() == [0, 0, 1, 1, 2, 2]
    model.evaluate(data, verbose=0)
    assert data.calls == ["begin", 0, 1, 2, "end"] * 2


def test_the_hooks_frame_every_epoch():
    data, held_out = Numbers(2, workers=0), Numbers(1, workers=0)
    trained().fit(data, epochs=2, shuffle=False, validation_data=held_out, verbose=0)
    assert data.calls == ["begin", 0, 1, "end"] * 2
    assert held_out.calls == ["begin", 0, "end"] * 2


def test_nothing_is_made_for_an_epoch_that_has_not_begun():
    class Changing(Numbers):
        def on_epoch_begin(self):
            super().on_epoch_begin()
            time.sleep(0.01)

    data = Changing(4, workers=2)
    trained().fit(data, epochs=3, steps_per_epoch=4, verbose=0)
    epochs = [data.calls[i : i + 6] for i in (0, 6, 12)]
    assert all(e[0] == "begin" and e[-1] == "end" and sorted(e[1:-1]) == [0, 1, 2, 3] for e in epochs)


@pytest.mark.parametrize(("workers", "size"), [(1, 2), (3, 4)])
def test_no_more_is_made_ahead_than_the_queue_holds(workers, size):
    data = Numbers(30, workers=workers, max_queue_size=size)
    source = PyDatasetBatches(data)
    iterator = source.batches()
    source.allow(30)
    for used in range(1, 6):
        next(iterator)
        time.sleep(0.02 * size)
        assert len(data.calls) <= used + size
    source.close()
    assert len(data.calls) <= 5 + size


def test_what_on_epoch_end_changes_counts_in_processes_too():
    class Growing(Numbers):
        offset = 0

        def __getitem__(self, index):
            return np.full((2, 1), index + self.offset, "float32"), np.zeros((2, 1))

        def on_epoch_end(self):
            self.offset += 10

    source = PyDatasetBatches(Growing(2, workers=1, use_multiprocessing=True))
    assert order(source) == [0, 1]
    source.on_epoch_end()
    assert order(source) == [10, 11]


def test_processes_are_others_and_draw_numbers_that_follow_from_the_seed():
    def drawn():
        set_random_seed(3)
        source = PyDatasetBatches(Drawn(4, workers=2, use_multiprocessing=True))
        passes = []
        for _ in range(2):
            iterator = source.batches()
            source.allow(None)
            passes.append(np.concatenate([np.asarray(x)[:, 0] for x, _ in iterator]).tolist())
        return passes

    first, second = drawn()
    assert len({*first, *second}) == 16, "every batch of every epoch draws its own"
    assert drawn() == [first, second]
    source = PyDatasetBatches(Numbers(2, workers=1, use_multiprocessing=True))
    assert all(np.asarray(y)[0, 0] != np.float32(os.getpid()) for _, y in source.batches())


def test_a_data_set_without_end_needs_steps():
    class Endless(Numbers):
        num_batches = None

    data = Endless(workers=2)
    with pytest.raises(ValueError, match="steps_per_epoch is needed: x is a Endless, which has no end"):
        linear().fit(data, verbose=0)
    model = trained()
    model.fit(data, steps_per_epoch=3, epochs=2, verbose=0)
    assert sorted(c for c in data.calls if c not in ("begin", "end")) == list(range(6))
    with pytest.raises(ValueError, match="^steps is needed: x is a Endless"):
        model.evaluate(data, verbose=0)


def test_class_weights_count():
    class Labelled(Numbers):
        def __getitem__(self, index):
            return np.ones((2, 1)), np.array([[0.0], [1.0]])

    model = linear()
    model.set_weights([np.zeros((1, 1)), np.zeros(1)])
    assert model.fit(Labelled(3), class_weight={1: 3.0}, verbose=0).history["loss"] == [1.5]


class TestErrors:
    def test_a_data_set_without_a_length_says_what_to_write(self):
        class Bare(PyDataset):
            def __getitem__(self, index):
                return np.zeros((1, 1))

        with pytest.raises(NotImplementedError, match=r"Bare does not say how many batches it has: write __len__\(\)"):
            linear().fit(Bare())

    def test_a_data_set_without_batches_says_what_to_write(self):
        class Bare(PyDataset):
            def __len__(self):
                return 2

        with pytest.raises(NotImplementedError, match=r"Bare has no __getitem__\(index\), which returns a batch"):
            linear().fit(Bare())

    def test_an_empty_data_set_is_refused(self):
        with pytest.raises(ValueError, match="x gives no data: Numbers has no batches"):
            linear().fit(Numbers(0))

    @pytest.mark.parametrize("count", [2.5, "3", -1, True])
    def test_a_number_of_batches_that_is_none_is_refused(self, count):
        class Odd(Numbers):
            num_batches = count

        with pytest.raises(ValueError, match=f"Odd.num_batches must be an integer of at least 0 or None, .*{count!r}"):
            linear().fit(Odd())

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"workers": -1}, "workers of a PyDataset must be an integer of at least 0, received -1"),
            ({"workers": 1.5}, "workers .* received 1.5"),
            ({"max_queue_size": 0}, "max_queue_size of a PyDataset must be an integer of at least 1, received 0"),
        ],
    )
    def test_options_that_make_no_sense_are_refused(self, options, said):
        with pytest.raises(ValueError, match=said):
            Numbers(**options)

    def test_a_batch_of_a_wrong_form_is_named(self):
        class Odd(Numbers):
            def __getitem__(self, index):
                return (np.zeros((1, 1)),) * 4 if index else (np.zeros((1, 1)), np.zeros((1, 1)))

        with pytest.raises(ValueError, match="batch 1 of Odd: .* received a tuple of 4"):
            linear().fit(Odd(2), verbose=0)

    def test_a_forgotten_super_init_is_said_once(self):
        class Forgetful(Numbers):
            def __init__(self):
                self.count, self.calls = 2, []

        with pytest.warns(UserWarning, match=r"Forgetful.__init__\(\) should call super\(\).__init__") as caught:
            linear().fit(Forgetful(), epochs=2, verbose=0)
        assert len(caught) == 1

    def test_targets_beside_it_are_refused(self):
        with pytest.raises(ValueError, match="y cannot be given when x is a Numbers"):
            linear().fit(Numbers(), np.zeros(2))

    def test_a_process_that_dies_is_an_error_not_a_hang(self):
        class Dying(Numbers):
            def __getitem__(self, index):
                if index == 1 and multiprocessing.parent_process() is not None:
                    os._exit(3)
                return np.zeros((1, 1)), np.zeros((1, 1))

        with pytest.raises(RuntimeError, match="one of the processes that make batches of Dying died"):
            trained().fit(Dying(3, workers=1, use_multiprocessing=True), verbose=0)


def test_data_sets_of_keras_are_taken_too():
    import keras

    class Theirs(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return np.full((2, 1), index, "float32"), np.zeros((2, 1))

    assert order(PyDatasetBatches(Theirs(workers=2))) == [0, 1, 2]
    trained().fit(Theirs(), verbose=0)


def test_its_names_are_keras_s():
    assert kcore.utils.PyDataset is kcore.utils.Sequence is PyDataset
