"""Callbacks: which are called when, and what the default ones keep."""

from __future__ import annotations

import pytest

from kcore.callbacks import Callback, CallbackList, History, ProgbarLogger


def test_only_overridden_batch_hooks_are_called():
    class Ends(Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.seen = batch

    class Old(Callback):
        def on_batch_end(self, batch, logs=None):
            self.seen = batch

    ends, old = Ends(), Old()
    callbacks = CallbackList([ends, old, Callback(), History()])
    assert len(callbacks.train_batch_end) == 2
    assert not callbacks.train_batch_begin and not callbacks.test_batch_end and not callbacks.predict_batch_end
    callbacks.on_train_batch_end(7)
    assert (ends.seen, old.seen) == (7, 7)


def test_history_and_bar_are_added_once():
    history = History()
    callbacks = CallbackList([history], add_history=True, add_progbar=True, verbose=1, epochs=1, steps=1)
    kinds = [type(c) for c in callbacks.callbacks]
    assert kinds == [History, ProgbarLogger]


def test_a_class_instead_of_an_instance_is_refused():
    with pytest.raises(ValueError, match="call it to make an instance"):
        CallbackList([History])


def test_a_single_callback_needs_no_list():
    assert len(CallbackList(History()).callbacks) == 1


def test_history_keeps_epochs_and_values():
    history = History()
    history.on_train_begin()
    history.on_epoch_end(3, {"loss": 1.0})
    history.on_epoch_end(4, {"loss": 0.5, "val_loss": 2.0})
    assert history.epoch == [3, 4]
    assert history.history == {"loss": [1.0, 0.5], "val_loss": [2.0]}
