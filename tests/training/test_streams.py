"""Generators and iterables: what is asked of them, in which order, and what is said when they go wrong."""

from __future__ import annotations

import itertools
import threading
import time
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kcore import callbacks, layers, optimizers, set_random_seed
from kcore.models import Model, Sequential
from kcore.training.sources.buffers import Buffers
from kcore.training.sources.streams import MADE_AHEAD, StreamBatches


def linear(**compiled):
    model = Sequential([layers.Input((1,)), layers.Dense(1)])
    model.compile(**{"optimizer": optimizers.SGD(0.0), "loss": "mse", **compiled})
    return model


def batch(number, size=2):
    return np.full((size, 1), number, "float32"), np.zeros((size, 1), "float32")


class Counted:
    """A generator of numbered batches that notes what it was asked for."""

    def __init__(self, count=None):
        self.asked = 0
        self.stream = self._batches(count)

    def _batches(self, count):
        for number in itertools.count() if count is None else range(count):
            self.asked += 1
            yield batch(number)


class Seen(callbacks.Callback):
    """What the steps of each epoch got, read off a model that is trained with a learning rate of 0."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.epochs, self.stop_at = [], stop_at

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append(0)

    def on_train_batch_end(self, batch, logs=None):
        self.epochs[-1] += 1
        self.model.stop_training = self.stop_at == batch


def workers():
    return [thread for thread in threading.enumerate() if thread.name == "kcore batches"]


@pytest.fixture(autouse=True)
def threads_end():
    yield
    assert not workers(), "a thread that makes batches lives on"


def inputs_of(model, stream, **options):
    """The numbers of the batches that fit used, in order."""
    used = []
    step = model.make_train_function

    def noting(force=False):
        inner = step(force)
        return lambda data: (used.append(int(np.asarray(data[0]).flat[0])), inner(data))[1]

    model.make_train_function = noting
    try:
        model.fit(stream, verbose=0, **options)
    finally:
        del model.make_train_function
    return used


class TestOrder:
    @pytest.mark.parametrize("together", [1, 2, 3])
    @pytest.mark.parametrize("eager", [False, True])
    def test_every_batch_is_used_once_and_in_order(self, eager, together):
        model = linear(run_eagerly=eager, steps_per_execution=together)
        source = Counted(7)
        assert inputs_of(model, source.stream) == list(range(7)) and source.asked == 7

    def test_no_batch_is_lost_between_epochs_and_calls(self):
        model, source = linear(), Counted()
        used = inputs_of(model, source.stream, steps_per_epoch=3, epochs=2)
        assert source.asked == 6, "no more is asked of a generator than the epochs need"
        used += inputs_of(model, source.stream, steps_per_epoch=4)
        assert used == list(range(10)) and source.asked == 10
        assert model.predict(source.stream, steps=2, verbose=0).shape == (4, 1) and source.asked == 12

    def test_batches_made_ahead_of_an_early_end_are_the_next_call_s_first(self):
        model, source = linear(), Counted()
        used = inputs_of(model, source.stream, steps_per_epoch=50, epochs=3, callbacks=[Seen(stop_at=4)])
        assert used == list(range(5)) and 5 <= source.asked <= 5 + MADE_AHEAD
        weights = {0: 2.0}
        assert inputs_of(model, source.stream, steps_per_epoch=3, class_weight=weights) == [5, 6, 7]
        assert inputs_of(model, source.stream, steps_per_epoch=2) == [8, 9]
        assert source.asked == 10

    def test_a_model_that_is_built_by_its_first_batch_trains_on_it(self):
        class Own(Model):
            def __init__(self):
                super().__init__()
                self.dense = layers.Dense(1)

            def call(self, x):
                return self.dense(x)

        model = Own()
        model.compile("sgd", "mse")
        assert inputs_of(model, Counted(3).stream) == [0, 1, 2]

    def test_a_batch_looked_at_by_a_call_that_fails_is_not_lost(self):
        model, source = linear(), Counted(3)
        with pytest.raises(ValueError, match="callbacks must be instances"):
            model.fit(source.stream, verbose=0, callbacks=[3])
        assert inputs_of(model, source.stream) == [0, 1, 2]

    def test_an_iterable_starts_again_every_epoch(self):
        class Batches:
            def __iter__(self):
                return map(batch, range(3))

        assert inputs_of(linear(), Batches(), epochs=2) == [0, 1, 2, 0, 1, 2]
        with pytest.warns(UserWarning, match=r"x is a Batches: it gave 1 of 2 batches \(steps_per_epoch=2\); "):
            assert inputs_of(linear(), Batches(), epochs=3, steps_per_epoch=2) == [0, 1, 2, 0, 1]

    def test_a_length_tells_the_epoch_and_the_bar(self):
        class Batches:
            def __len__(self):
                return 3

            def __iter__(self):
                return map(batch, range(5))

        model, bar = linear(), callbacks.Callback()
        assert inputs_of(model, Batches(), epochs=2, callbacks=[bar]) == [0, 1, 2, 0, 1, 2]
        assert bar.params["steps"] == 3

    def test_the_user_may_reuse_the_arrays(self):
        x, y = batch(0)

        def reusing():
            for number in range(6):
                x[:] = number
                yield x, y

        assert inputs_of(linear(steps_per_execution=2), reusing()) == list(range(6))

    def test_two_runs_agree_to_the_bit(self):
        def run():
            set_random_seed(1)
            rng = np.random.default_rng(0)
            model = Sequential([layers.Input((1,)), layers.Dense(4), layers.Dense(1)])
            model.compile("adam", "mse")
            return model.fit(
                ((rng.random((4, 1)), rng.random((4, 1))) for _ in range(6)), steps_per_epoch=3, epochs=2, verbose=0
            ).history["loss"]

        assert run() == run()


class TestEarlyEnd:
    def test_fewer_batches_than_the_epochs_need_end_training(self):
        seen = Seen()
        with pytest.warns(UserWarning, match=r"x is a generator: it gave 5 of the 12 batches that were expected "):
            history = linear().fit(Counted(5).stream, steps_per_epoch=4, epochs=3, verbose=0, callbacks=[seen])
        assert seen.epochs == [4, 1] and history.epoch == [0, 1]

    def test_an_epoch_that_would_have_no_step_does_not_begin(self):
        seen = Seen()
        with pytest.warns(UserWarning, match=r"4 of the 8 .*steps_per_epoch=2, 4 epochs\); training stops"):
            linear().fit(Counted(4).stream, steps_per_epoch=2, epochs=4, verbose=0, callbacks=[seen])
        assert seen.epochs == [2, 2]

    def test_a_generator_is_one_epoch(self):
        seen = Seen()
        with pytest.warns(UserWarning, match="it ended after 3 batches, one epoch of the 2 asked for; training stops"):
            linear().fit(Counted(3).stream, epochs=2, verbose=0, callbacks=[seen])
        assert seen.epochs == [3]

    def test_the_warning_points_at_the_user_s_line(self):
        with pytest.warns(UserWarning) as caught:
            linear().fit(Counted(3).stream, epochs=2, verbose=0)
        assert [w.filename for w in caught] == [__file__]

    def test_enough_batches_warn_of_nothing(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            linear().fit(Counted(6).stream, steps_per_epoch=3, epochs=2, verbose=0)
            linear().fit(Counted(6).stream, verbose=0)

    def test_a_length_that_promises_too_much_is_said(self):
        class Batches:
            def __len__(self):
                return 4

            def __iter__(self):
                return map(batch, range(3))

        with pytest.warns(UserWarning, match=r"x is a Batches: it gave 3 of 4 batches \(its length is 4\)"):
            assert inputs_of(linear(), Batches(), epochs=2) == [0, 1, 2, 0, 1, 2]

    def test_evaluate_and_predict_say_it_too(self):
        for method in ("evaluate", "predict"):
            with pytest.warns(UserWarning, match="3 of the 5 batches that were expected; it ends here"):
                getattr(linear(), method)(Counted(3).stream, steps=5, verbose=0)

    def test_nothing_at_all_is_an_error(self):
        class Nothing:
            def __iter__(self):
                return iter(())

        model = linear()
        model.fit(*batch(1), verbose=0)
        for method in ("fit", "evaluate", "predict"):
            for used in (linear(), model):
                with pytest.raises(ValueError, match="x gives no data: the generator yields nothing"):
                    getattr(used, method)(Counted(0).stream, verbose=0)
        with pytest.raises(ValueError, match="nothing to evaluate: the Nothing gave no batch"):
            model.evaluate(Nothing(), verbose=0)
        with pytest.raises(ValueError, match="nothing to predict"):
            model.predict(Nothing(), verbose=0)
        with pytest.warns(UserWarning, match="x is a Nothing: it gave no batch for this epoch; training stops here"):
            model.fit(Nothing(), epochs=5, verbose=0)

    def test_validation_data_that_ends_is_said_once(self):
        with pytest.warns(UserWarning, match="validation_data is a generator: it ended after 2 batches") as caught:
            history = linear().fit(*batch(1), epochs=3, validation_data=Counted(2).stream, verbose=0).history
        assert len(history["loss"]) == 3 and len(history["val_loss"]) == 1 and len(caught) == 1

    def test_validation_goes_on_where_it_stopped(self):
        source = Counted()
        model = linear()
        model.set_weights([np.ones((1, 1)), np.zeros(1)])
        options = {"epochs": 2, "validation_data": source.stream, "validation_steps": 2, "verbose": 0}
        assert model.fit(*batch(1), **options).history["val_loss"] == [0.5, 6.5]
        assert source.asked == 4


class TestBadBatches:
    @pytest.mark.parametrize(
        ("item", "said"),
        [
            ([1, 2, 3, 4], "received a tuple of 4"),
            (None, r"expected x, \(x, y\) or \(x, y, sample_weight\), received None"),
            ("text", "received 'text'"),
            ((np.zeros((2, 1)), ["a", "b"]), "y must hold numbers"),
            ((np.zeros((2, 1)), np.zeros(3)), r"x has 2 \(shape \(2, 1\)\), y has 3"),
            ((np.zeros((0, 1)), np.zeros(0)), "x has no samples"),
            ((np.float32(1), np.float32(2)), "must have a first axis of samples"),
            (object(), "x is of type object, which is neither an array nor gives batches"),
        ],
    )
    def test_the_batch_is_named_and_the_model_stays_usable(self, item, said):
        model = linear(optimizer="sgd")

        def stream():
            yield batch(1)
            yield item

        with pytest.raises((ValueError, TypeError), match=f"batch 2 of the generator: .*{said}"):
            model.fit(stream(), verbose=0)
        model.fit(*batch(1), verbose=0)

    def test_an_error_of_the_generator_shows_its_own_line(self):
        def stream():
            yield batch(0)
            yield batch(1)
            raise KeyError("no such file")  # the line of the traceback

        model, seen = linear(), Seen()
        with pytest.raises(KeyError, match="no such file") as caught:
            model.fit(stream(), verbose=0, callbacks=[seen])
        frames = traceback.extract_tb(caught.value.__traceback__)
        assert frames[0].filename == __file__ and frames[-1].line.endswith("# the line of the traceback")
        assert seen.epochs == [2], "the batches before the error were trained on"
        model.fit(*batch(1), verbose=0)

    def test_targets_and_weights_beside_a_generator_are_refused(self):
        for option in ("y", "sample_weight"):
            with pytest.raises(ValueError, match=f"{option} cannot be given when x is a generator"):
                linear().fit(Counted(1).stream, **{option: np.zeros(3)})

    def test_a_batch_size_beside_a_generator_is_said_to_have_no_use(self):
        with pytest.warns(UserWarning, match="batch_size=8 is not used: x is a generator"):
            linear().fit(Counted(1).stream, batch_size=8, verbose=0)

    def test_a_split_of_a_generator_is_refused(self):
        with pytest.raises(ValueError, match="validation_split needs arrays to cut, received x of type generator"):
            linear().fit(Counted(1).stream, validation_split=0.5)

    @pytest.mark.parametrize("steps", [0, -1, 2.5, True])
    def test_steps_must_be_positive(self, steps):
        with pytest.raises(ValueError, match=f"steps_per_epoch must be a positive integer or None, received {steps}"):
            linear().fit(Counted(1).stream, steps_per_epoch=steps)
        with pytest.raises(ValueError, match="validation_steps must be a positive integer"):
            linear().fit(*batch(1), validation_data=Counted(1).stream, validation_steps=steps)
        with pytest.raises(ValueError, match="^steps must be a positive integer"):
            linear().evaluate(Counted(1).stream, steps=steps)

    def test_class_and_sample_weights_together_are_refused(self):
        stream = iter([(*batch(0), np.ones(2))])
        with pytest.raises(ValueError, match="class_weight and sample_weight cannot be used at the same time"):
            linear().fit(stream, class_weight={0: 1.0}, verbose=0)

    def test_a_data_set_of_samples_is_told_from_one_of_batches(self):
        class Samples:
            def __len__(self):
                return 3

            def __getitem__(self, index):
                return np.zeros(1), np.zeros(1)

        with pytest.raises(TypeError, match="x is of type Samples, .* goes into a loader, such as torch.utils.data"):
            linear().fit(Samples())


def test_a_slow_generator_and_a_step_take_turns_at_the_same_time():
    model = linear()

    def slow(count):
        for number in range(count):
            time.sleep(0.02)
            yield batch(number)

    class SlowStep(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            time.sleep(0.02)

    model.fit(slow(1), verbose=0)
    start = time.perf_counter()
    model.fit(slow(12), verbose=0, callbacks=[SlowStep()])
    assert time.perf_counter() - start < 0.9 * 12 * 0.04


def test_a_callback_that_raises_ends_the_thread():
    class Raise(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise RuntimeError("in the callback")

    with pytest.raises(RuntimeError, match="in the callback"):
        linear().fit(Counted().stream, steps_per_epoch=9, verbose=0, callbacks=[Raise()])


def test_a_generator_that_hangs_does_not_hold_up_an_error(monkeypatch):
    monkeypatch.setattr("kcore.training.sources.ahead.PATIENCE", 0.05)
    go_on = threading.Event()

    def hanging():
        for number in range(4):
            time.sleep(0.002)
            yield batch(number)
        go_on.wait(10)

    class Raise(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                raise RuntimeError("in the callback")

    with pytest.warns(UserWarning, match="a batch is still being made after 0.05 seconds"):
        with pytest.raises(RuntimeError, match="in the callback"):
            linear().fit(hanging(), verbose=0, callbacks=[Raise()])
    go_on.set()
    for thread in workers():
        thread.join()


def test_scopes_hold_in_the_thread():
    with np.errstate(divide="raise"):

        def stream():
            for number in range(4):
                time.sleep(0.002)
                yield batch(number)
            assert threading.current_thread().name == "kcore batches"
            yield np.float64(1) / np.zeros(1), None

        with pytest.raises(FloatingPointError):
            linear().fit(stream(), verbose=0)


# -- the memory of batches ---------------------------------------------------------------------------------------------


def test_a_batch_that_is_held_keeps_its_values_while_memory_is_used_again():
    def in_one_array():
        array = np.empty((1, 20_000), "float64")
        for i in range(9):
            array[:] = i
            yield array

    source = StreamBatches(in_one_array())
    batches, held, places = source.batches(), [], set()
    source.allow(None)
    for i, batch in enumerate(batches):
        places.add(batch.array.ctypes.data)
        if i % 4 == 0:
            held.append(batch)
        del batch
    assert [batch.gather()[0, -1] for batch in held] == [0, 4, 8]
    assert len(places) < 9


def test_several_threads_never_share_memory():
    buffers, source = Buffers(), np.zeros((40, 1, 20_000))
    source += np.arange(40)[:, None, None]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(10):
            copies = list(threads.map(lambda values: buffers.copy(values, "float32"), source))
            assert [copy[0, 0] for copy in copies] == list(range(40))
            assert len({copy.ctypes.data for copy in copies}) == 40
