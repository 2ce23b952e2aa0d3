"""Evaluation sees the averages of the weights, training does not."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import optimizers
from kcore.callbacks import LambdaCallback, ModelCheckpoint, SwapEMAWeights


@pytest.fixture
def ema(make_model):
    return make_model(optimizers.SGD(0.5, use_ema=True, ema_momentum=0.9))


def averages(model):
    return [average.numpy() for average in model.optimizer._averages]


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_validation_is_of_the_averages_and_training_goes_on_with_the_weights(ema, make_model, data):
    plain = make_model(optimizers.SGD(0.5, use_ema=True, ema_momentum=0.9))
    arguments = {"batch_size": 8, "epochs": 3, "verbose": 0, "shuffle": False, "validation_data": data}
    values = []

    def note(epoch, logs):  # what the averages of a model without the callback give
        weights = plain.get_weights()
        plain.set_weights(averages(plain))
        values.append(plain.evaluate(*data, verbose=0)[0])
        plain.set_weights(weights)

    without = plain.fit(*data, **arguments, callbacks=LambdaCallback(on_epoch_end=note)).history
    swapped = ema.fit(*data, **arguments, callbacks=SwapEMAWeights()).history
    assert swapped["loss"] == without["loss"]
    np.testing.assert_allclose(swapped["val_loss"], values, rtol=1e-6)
    assert swapped["val_loss"] != without["val_loss"]
    assert equal(ema.get_weights(), averages(ema)) and equal(ema.get_weights(), plain.get_weights())


@pytest.mark.parametrize("stop_early", [False, True])
def test_checkpoints_after_it_hold_the_averages(ema, data, tmp_path, make_model, stop_early):
    path = tmp_path / "{epoch}.weights.h5"
    seen = {}

    def note(epoch, logs):
        seen[epoch] = averages(ema)
        ema.stop_training = stop_early and epoch == 1

    callbacks = [
        SwapEMAWeights(swap_on_epoch=True),
        ModelCheckpoint(path, save_weights_only=True),
        LambdaCallback(on_epoch_end=note),
    ]
    history = ema.fit(*data, batch_size=8, epochs=3, verbose=0, validation_data=data, callbacks=callbacks)
    assert len(history.epoch) == (2 if stop_early else 3)
    for epoch in history.epoch:
        other = make_model(optimizers.SGD(0.5, use_ema=True, ema_momentum=0.9))
        other.optimizer.build(other.trainable_variables)
        other.load_weights(str(path).format(epoch=epoch + 1))
        assert equal(other.get_weights(), seen[epoch])
    assert equal(ema.get_weights(), seen[history.epoch[-1]])


def test_predict_and_evaluate_give_the_weights_back(ema, data):
    ema.fit(*data, batch_size=8, verbose=0)
    kept, mean = [w + 1 for w in ema.get_weights()], averages(ema)
    expected_weights = []
    for act in (ema.predict, ema.evaluate):
        ema.set_weights(kept)
        expected_weights.clear()
        note = LambdaCallback(
            on_predict_batch_end=lambda batch, logs: expected_weights.append(ema.get_weights()),
            on_test_batch_end=lambda batch, logs: expected_weights.append(ema.get_weights()),
        )
        act(*(data if act == ema.evaluate else data[:1]), verbose=0, callbacks=[SwapEMAWeights(), note])
        assert equal(expected_weights[0], mean) and equal(ema.get_weights(), kept)


def test_an_error_in_validation_does_not_mix_weights_and_averages(ema, data):
    ema.fit(*data, batch_size=8, verbose=0)
    mean = averages(ema)
    kept = [w + 1 for w in ema.get_weights()]
    ema.set_weights(kept)
    fail = LambdaCallback(on_test_batch_end=lambda batch, logs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ema.evaluate(*data, verbose=0, callbacks=[SwapEMAWeights(), fail])
    assert equal(ema.get_weights(), kept) and equal(averages(ema), mean)
    with pytest.raises(ZeroDivisionError):
        ema.fit(*data, batch_size=8, verbose=0, validation_data=data, callbacks=[SwapEMAWeights(), fail])
    assert equal(ema.get_weights(), averages(ema))  # fit ends with the averages, however it ends


def test_an_optimizer_without_averages_is_named(model, data):
    with pytest.raises(
        ValueError, match="of model 'net' keeps no moving averages of the weights; make it with use_ema"
    ):
        model.fit(*data, verbose=0, validation_data=data, callbacks=SwapEMAWeights())
