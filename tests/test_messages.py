"""What users are told when they mistake an argument, a loop or a shape."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import kcore
from kcore import layers, losses, ops, optimizers
from kcore.runtime import function

X, Y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")


@pytest.fixture
def model():
    model = kcore.Sequential([layers.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def test_validation_data_without_targets(model):
    with pytest.raises(ValueError, match=r"validation_data is \(x, y\) or \(x, y, sample_weight\), received no y"):
        model.fit(X, Y, validation_data=X, verbose=0)


@pytest.mark.parametrize("epochs", ["a", -1, 1.5, True, None])
@pytest.mark.parametrize("name", ["epochs", "initial_epoch"])
def test_epochs_are_counted(model, name, epochs):
    with pytest.raises(ValueError, match=f"^{name} must be an integer of at least 0, received"):
        model.fit(X, Y, verbose=0, **{name: epochs})


def test_no_epochs_are_none(model):
    assert model.fit(X, Y, epochs=0, verbose=0).epoch == []


def test_an_unknown_argument_shows_near_ones_and_the_user_s_class(model):
    with pytest.raises(TypeError, match=r"Sequential.fit\(\) has no argument 'nb_epoch'; did you mean 'epochs'"):
        model.fit(X, Y, nb_epoch=2)
    with pytest.raises(TypeError, match=r"Sequential.compile\(\) has no argument 'los'; did you mean 'loss'"):
        model.compile("sgd", los="mse")


@pytest.mark.parametrize("method", ["predict", "train_on_batch", "test_on_batch", "predict_on_batch"])
def test_a_missing_argument_is_named_with_the_user_s_class(model, method):
    with pytest.raises(TypeError, match=rf"^Sequential\.{method}\(\) needs the argument 'x'$"):
        getattr(model, method)()


def test_too_many_arguments_are_counted_and_named(model):
    message = r"^Sequential\.predict\(\) takes up to 5 arguments \(x, batch_size, .*\), received 7$"
    with pytest.raises(TypeError, match=message):
        model.predict(X, 1, 0, None, None, 6, 7)


def test_a_window_that_does_not_fit_names_the_layer():
    for x in (np.ones((1, 3, 3, 1), "float32"), layers.Input((3, 3, 1))):
        with pytest.raises(ValueError) as caught:
            layers.Conv2D(3, 5, name="wide")(x)
        assert "in layer 'wide' (Conv2D), called with inputs=float32[" in str(caught.value)


def test_labels_of_another_rank():
    with pytest.raises(ValueError, match=r"y_true and y_pred must have the same shape, got \(3,\) and \(3, 3\)"):
        losses.CategoricalCrossentropy()(np.array([1, 2, 0]), np.ones((3, 3), "float32"))


def test_what_an_initializer_gives_names_layer_and_weight():
    def five(shape, dtype=None):
        return np.ones(5)

    with pytest.raises(ValueError, match=r"layer 'd' \(Dense\): weight 'kernel': .* shape \(5,\), expected \(3, 4\)"):
        layers.Dense(4, kernel_initializer=five, name="d")(X)


@pytest.mark.parametrize("value", ["x", None])
def test_a_learning_rate_that_is_none(value):
    optimizer = optimizers.SGD(1.0)
    with pytest.raises(ValueError, match="learning_rate=.*: expected a float, a schedule or a callable"):
        optimizer.learning_rate = value
    assert float(optimizer.learning_rate) == 1.0


def test_loops_over_symbols_name_what_loops():
    class Loop(layers.Layer):
        def call(self, x):
            return sum(row for row in x)

    symbol = layers.Input((3,))
    with pytest.raises(TypeError, match=r"(?s)whose length is not known: use `ops.scan`.*in layer 'loop'"):
        Loop(name="loop")(symbol)
    with pytest.raises(TypeError, match=r"use `ops.shape\(x\)\[0\]`"):
        len(symbol)
    for use in (float, int, range):
        with pytest.raises(TypeError, match=r"`ops.cond` chooses by value, `ops.scan`"):
            use(symbol)
    with pytest.raises(TypeError, match=r"`range\(\)` of a traced tensor.*`ops.scan`"):
        function(lambda x: range(ops.cast(ops.sum(x), "int32")))(X)


def test_a_sequence_without_steps():
    with pytest.raises(ValueError, match=r"layer 'r' \(LSTM\): no time steps in sequences of shape \(1, 0, 2\)"):
        layers.LSTM(2, name="r")(np.ones((1, 0, 2), "float32"))


def test_ops_show_what_they_take():
    assert list(inspect.signature(ops.add).parameters) == ["x1", "x2"]
    assert list(inspect.signature(ops.exp).parameters) == ["x"]


def test_a_weight_there_is_no_room_for_is_named():
    def none_left(shape, dtype=None):
        raise MemoryError("Unable to allocate 37.3 GiB")

    text = r"layer 'd' \(Dense\): no room for weight 'kernel' of shape \(3, 4\) and dtype float32: Unable to allocate"
    with pytest.raises(MemoryError, match=text):
        layers.Dense(4, kernel_initializer=none_left, name="d")(X)


def test_a_result_there_is_no_room_for_is_named():
    with pytest.raises(MemoryError, match=r"^ones_like|^full|^broadcast_to") as caught:
        ops.ones((10**9, 10**9))
    assert "no room on numpy:0 for its result float32[1000000000, 1000000000]" in str(caught.value)


@pytest.mark.parametrize("name", ["add", "maximum", "logaddexp"])
def test_operands_that_do_not_fit_name_the_op(name):
    with pytest.raises(ValueError, match=rf"^{name}: shapes \(2, 3\) and \(4, 5\) cannot be broadcast together"):
        getattr(ops, name)(np.ones((2, 3)), np.ones((4, 5)))


def test_subscripts_that_do_not_fit_are_named():
    text = r"'ij,jk->ik': subscript 'j' is 3 in operand 0 of shape \(2, 3\), and 4 in operand 1 of shape \(4, 5\)"
    with pytest.raises(ValueError, match=text):
        ops.einsum("ij,jk->ik", np.ones((2, 3)), np.ones((4, 5)))


def test_complex_data_is_named(model):
    with pytest.raises(ValueError, match=r"^x holds complex numbers \(complex64, shape \(8, 3\)\)"):
        model.fit(X.astype("complex64"), Y, verbose=0)


def test_a_model_may_be_trained_from_its_own_callback(model):
    class Again(kcore.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.inner = self.model.fit(X, Y, verbose=0)

    again = Again()
    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=[again])
    assert history.epoch == [0, 1] and again.inner.epoch == [0]
