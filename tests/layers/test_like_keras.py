"""Every layer beside Keras's: same configuration, same weights, same outputs, masks and shapes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from reference import array, build_alike, keras, pair, same, values

import kcore
from kcore import layers
from kcore.runtime import convert_to_tensor


@pytest.mark.parametrize(
    "config",
    [{}, {"activation": "relu"}, {"use_bias": False}, {"activation": "softmax", "kernel_regularizer": "l2"}],
)
@pytest.mark.parametrize("shape", [(2, 3), (2, 4, 3), (0, 3)])
def test_dense(config, shape):
    same("Dense", array(shape), 5, **config)


@pytest.mark.parametrize(
    "equation, output, bias, shape",
    [
        ("ab,bc->ac", 4, "c", (2, 3)),
        ("abc,cd->abd", (None, 4), "d", (2, 3, 5)),
        ("...x,xy->...y", 4, "y", (2, 3, 5)),
        ("abc,cde->abde", (None, 2, 4), "de", (2, 3, 5)),
        ("abcd,cde->abe", (None, 6), None, (2, 3, 5, 4)),
        ("ab...,bc->ac...", 4, "c", (2, 3, 5)),
    ],
)
def test_einsum_dense(equation, output, bias, shape):
    same("EinsumDense", array(shape), equation, output, bias_axes=bias, activation="tanh")


@pytest.mark.parametrize("mask_zero", [False, True])
def test_embedding(mask_zero):
    same("Embedding", array((3, 4), dtype="int32"), 5, 6, mask_zero=mask_zero)


def test_embedding_takes_first_weights():
    table = array((5, 2))
    assert np.array_equal(layers.Embedding(5, 2, weights=[table]).embeddings.numpy(), table)


@pytest.mark.parametrize(
    "name", ["relu", "tanh", "sigmoid", "softmax", "gelu", "linear", "elu", "softplus", "silu", None]
)
def test_activation(name):
    same("Activation", array((2, 5)), name)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"max_value": 0.5},
        {"max_value": 6},
        {"negative_slope": 0.3},
        {"threshold": 0.4},
        {"negative_slope": 0.3, "threshold": 0.4, "max_value": 1.0},
        {"negative_slope": 0.2, "max_value": 1.0},
    ],
)
def test_relu(config):
    same("ReLU", array((4, 7)), **config)


def test_softmax():
    same("Softmax", array((2, 3, 4)))
    same("Softmax", array((2, 3, 4)), axis=(1, 2))
    mask = array((2, 3, 4), 1) > 0
    mask[0, 0] = True
    same("Softmax", array((2, 3, 4)), call={"mask": mask})


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"strides": 2},
        {"dilation_rate": 2},
        {"groups": 2},
        {"use_bias": False, "activation": "relu"},
        {"kernel_size": (1, 2)},
    ],
)
def test_conv2d(padding, config):
    config = {"kernel_size": 3, **config}
    same("Conv2D", array((2, 7, 8, 4)), 6, padding=padding, **config)


def test_conv2d_channels_first():
    # Keras's NumPy engine has no channels_first kernel: the reference is the other layout.
    last = layers.Conv2D(3, 2, activation="relu", data_format="channels_last", padding="same", strides=2)
    first = layers.Conv2D(3, 2, activation="relu", data_format="channels_first", padding="same", strides=2)
    x = array((2, 5, 6, 4))
    expected = last(x).numpy()
    first.build((2, 4, 5, 6))
    first.set_weights(last.get_weights())
    got = first(x.transpose(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(got.transpose(0, 2, 3, 1), expected, rtol=1e-5, atol=1e-5)
    assert first.compute_output_shape((None, 4, 5, 6)) == (None, 3, 3, 3)


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
def test_conv1d(padding):
    same("Conv1D", array((2, 9, 4)), 6, 3, padding=padding, dilation_rate=2)


def test_conv3d():
    same("Conv3D", array((2, 4, 5, 6, 2)), 3, 2, padding="same")


@pytest.mark.parametrize("kind", ["Max", "Average"])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [None, 1, 3])
def test_pooling(kind, padding, strides):
    same(f"{kind}Pooling2D", array((2, 7, 8, 3)), 2, strides=strides, padding=padding)
    same(f"{kind}Pooling1D", array((2, 7, 3)), 2, strides=strides, padding=padding)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("kind", ["Max", "Average"])
def test_global_pooling(kind, keepdims):
    same(f"Global{kind}Pooling1D", array((2, 5, 3)), keepdims=keepdims)
    same(f"Global{kind}Pooling2D", array((2, 5, 4, 3)), keepdims=keepdims)
    same(f"Global{kind}Pooling2D", array((2, 3, 5, 4)), keepdims=keepdims, data_format="channels_first")
    same(f"Global{kind}Pooling3D", array((2, 5, 4, 2, 3)), keepdims=keepdims)


def test_global_average_leaves_masked_steps_out():
    mask = np.array([[True, True, False, True, False], [True, False, False, False, False]])
    same("GlobalAveragePooling1D", array((2, 5, 3)), call={"mask": mask})


@pytest.mark.parametrize("shape", [(4, 3), (4, 5, 3), (4, 5, 6, 3)])
@pytest.mark.parametrize("config", [{}, {"scale": False}, {"center": False}, {"axis": 1}])
@pytest.mark.parametrize("training", [False, True])
def test_batch_normalization(shape, config, training):
    same("BatchNormalization", array(shape) * 3 + 1, call={"training": training}, **config)


def test_batch_normalization_leaves_masked_entries_out():
    mask = np.array([[True, True, False], [True, False, False]])
    same("BatchNormalization", array((2, 3, 4)), call={"training": True, "mask": mask})


def test_batch_normalization_that_is_not_trainable_is_in_inference_mode_even_in_training():
    theirs, mine = pair("BatchNormalization", trainable=False)
    x = array((4, 3))
    build_alike(theirs, mine, x)
    np.testing.assert_allclose(mine(x, training=True), theirs(x, training=True), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(mine(x, training=True), mine(x, training=False))


@pytest.mark.parametrize(
    "config", [{}, {"axis": [1, 2]}, {"axis": 1}, {"scale": False}, {"center": False}, {"epsilon": 1e-6}]
)
def test_layer_normalization(config):
    theirs = keras.layers.LayerNormalization(**config)
    mine = layers.LayerNormalization(**config)
    x = array((2, 3, 4))
    build_alike(theirs, mine, x)
    np.testing.assert_allclose(mine(x), theirs(x), rtol=1e-5, atol=1e-5)
    assert theirs.get_config()["axis"] == mine.get_config()["axis"]


@pytest.mark.parametrize("name", ["Add", "Multiply", "Average", "Maximum", "Minimum"])
def test_merging(name):
    same(name, ([array((2, 3)), array((2, 3), 1), array((2, 3), 2)],))
    same(name, ([array((2, 4, 3)), array((2, 3), 1)],))


def test_masked_entries_give_way_in_maximum_and_minimum():
    a = masked(np.array([[[5.0], [5.0]]], "float32"), np.array([[True, False]]))
    b = masked(np.array([[[1.0], [1.0]]], "float32"), np.array([[True, True]]))
    got = layers.Maximum()([a, b])
    assert got.numpy().tolist() == [[[5.0], [1.0]]]
    assert got._keras_mask.numpy().tolist() == [[True, True]]


def test_subtract_and_concatenate():
    same("Subtract", ([array((2, 3)), array((2, 3), 1)],))
    same("Concatenate", ([array((2, 3)), array((2, 5), 1)],))
    same("Concatenate", ([array((2, 3, 4)), array((2, 5, 4), 1)],), axis=1)


def test_flatten():
    same("Flatten", array((2, 3, 4)))
    same("Flatten", array((2,)))
    same("Flatten", array((2, 3, 4, 5)), data_format="channels_first")


@pytest.mark.parametrize("target", [(4, 3), (12,), (-1, 2), (2, -1, 2), (1, 3, 4, 1)])
def test_reshape(target):
    same("Reshape", array((2, 3, 4)), target)


def test_reshape_of_unknown_sizes():
    assert layers.Reshape((-1, 2))(layers.Input((None, 4))).shape == (None, None, 2)
    assert layers.Reshape((6,))(layers.Input((None, 3))).shape == (None, 6)
    with pytest.raises(ValueError, match=r"cannot reshape float32\[2, 3, 4\] into \(2, 5, -1\)\nin layer 'turn'"):
        layers.Reshape((5, -1), name="turn")(array((2, 3, 4)))
    with pytest.raises(ValueError, match=r"cannot reshape float32\[\?, 4\] into \(None, 5\)"):
        layers.Reshape((5,))(layers.Input((4,)))
    with pytest.raises(ValueError, match=r"target_shape=\(-1, -1\): expected a tuple of sizes"):
        layers.Reshape((-1, -1))


def test_masking():
    x = array((2, 3, 2))
    x[0, 1] = 0
    same("Masking", x)


def test_dropout_outside_of_training_is_the_identity():
    same("Dropout", array((2, 3)), 0.5)


def test_dropout_in_training_zeros_its_share_and_scales_the_rest():
    layer = layers.Dropout(0.25, seed=1)
    y = layer(np.ones((100, 100), "float32"), training=True).numpy()
    assert set(np.unique(y).round(5)) == {0.0, np.float32(1 / 0.75).round(5)}
    assert abs((y == 0).mean() - 0.25) < 0.02
    again = layer(np.ones((100, 100), "float32"), training=True).numpy()
    assert not np.array_equal(y, again), "every call draws another mask"
    same_seed = layers.Dropout(0.25, seed=1)(np.ones((100, 100), "float32"), training=True).numpy()
    assert np.array_equal(y, same_seed), "the same seed gives the same masks"
    columns = layers.Dropout(0.5, noise_shape=(1, None))(np.ones((100, 10), "float32"), training=True).numpy()
    assert (columns == columns[0]).all(), "noise_shape shares the mask along the axes of size 1"


def test_symbolic_calls_leave_random_state_alone():
    layer = layers.Dropout(0.5, seed=1)
    layer(layers.Input((3,)), training=True)
    assert layer.seed_generator.state.numpy().tolist() == [1, 0]


LSTM_MASK = np.array([[False, True, True, False, True], [True, True, False, False, False], [False] * 5])


@pytest.mark.parametrize("mask", [None, LSTM_MASK])
@pytest.mark.parametrize("config", [{}, {"go_backwards": True}, {"zero_output_for_mask": True}, {"use_bias": False}])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_lstm(mask, config, sequences, activation):
    call = {} if mask is None else {"mask": mask}
    same(
        "LSTM",
        array((3, 5, 4)),
        3,
        return_sequences=sequences,
        return_state=True,
        activation=activation,
        call=call,
        **config,
    )


def test_lstm_bias_starts_with_open_forget_gates():
    layer = layers.LSTM(2)
    layer.build((None, 3, 4))
    assert layer.cell.bias.numpy().tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


def test_lstm_takes_an_initial_state():
    theirs, mine = pair("LSTM", 3)
    x, state = array((2, 5, 4)), [array((2, 3), 1), array((2, 3), 2)]
    build_alike(theirs, mine, x)
    np.testing.assert_allclose(mine(x, initial_state=state), theirs(x, initial_state=state), rtol=1e-5, atol=1e-5)


def test_stateful_lstm_goes_on_where_it_ended():
    theirs, mine = pair("LSTM", 3, stateful=True)
    x = array((2, 5, 4))
    build_alike(theirs, mine, x)
    theirs.reset_state()
    mine.reset_state()
    for _ in range(3):
        np.testing.assert_allclose(mine(x), theirs(x), rtol=1e-5, atol=1e-5)
    assert len(mine.weights) == 3, "states are not weights"
    mine.reset_state()
    assert not np.any(mine.states[0].numpy())
    with pytest.raises(ValueError, match="stateful with batches of 2, got a batch of 3"):
        mine(array((3, 5, 4)))


@pytest.mark.parametrize(
    "config", [{"dropout": 0.5}, {"recurrent_dropout": 0.5}, {"dropout": 0.5, "recurrent_dropout": 0.5}]
)
def test_lstm_drops_the_same_units_at_every_step(config):
    layer = layers.LSTM(4, seed=3, return_sequences=True, **config)
    x = np.ones((2, 6, 5), "float32")
    still = layer(x).numpy()
    moving = layer(x, training=True).numpy()
    assert not np.allclose(still, moving)
    assert np.array_equal(layer(x).numpy(), still)
    assert layers.LSTM(4, seed=3, **config)(x, training=True).shape == (2, 4)


def test_rnn_with_a_cell_of_the_user():
    class Cell(layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.state_size = units

        def build(self, input_shape):
            self.kernel = self.add_weight(shape=(input_shape[-1], self.units), initializer="ones", name="kernel")

        def call(self, inputs, states):
            from kcore import ops

            output = ops.matmul(inputs, self.kernel) + states[0]
            return output, [output]

    x = array((2, 3, 4))
    outputs = layers.RNN(Cell(2), return_sequences=True)(x).numpy()
    np.testing.assert_allclose(outputs[..., 0], x.sum(-1).cumsum(1), rtol=1e-5)
    assert layers.RNN([Cell(2), Cell(3)])(x).shape == (2, 3)


def test_stacked_cells():
    theirs = keras.layers.RNN([keras.layers.LSTMCell(3), keras.layers.LSTMCell(4)], return_sequences=True)
    mine = layers.RNN([layers.LSTMCell(3), layers.LSTMCell(4)], return_sequences=True)
    x = array((2, 5, 4))
    theirs(x)
    mine(x)
    mine.set_weights(theirs.get_weights())
    np.testing.assert_allclose(mine(x), theirs(x), rtol=1e-5, atol=1e-5)


def masked(x, mask):
    """A tensor that carries a mask."""
    tensor = convert_to_tensor(x)
    tensor._keras_mask = convert_to_tensor(mask)
    return tensor


@pytest.mark.parametrize("config", [{}, {"value_dim": 5}, {"output_shape": 7}, {"use_bias": False}, {"use_gate": True}])
@pytest.mark.parametrize("call", [{}, {"use_causal_mask": True}, {"return_attention_scores": True}])
def test_multi_head_attention(config, call):
    query, value = array((2, 3, 8)), array((2, 3, 6), 1)
    theirs, mine = pair("MultiHeadAttention", 2, 4, **config)
    build_alike(theirs, mine, query, value)
    for a, b in zip(values(theirs(query, value, **call)), values(mine(query, value, **call)), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)


def test_attention_masks_are_joined():
    query, value = array((2, 3, 8)), array((2, 4, 6), 1)
    query_mask = np.array([[True, True, False], [True, True, True]])
    value_mask = np.array([[True, True, True, False], [True, False, True, True]])
    attention_mask = array((2, 3, 4), 2) > -1
    theirs, mine = pair("MultiHeadAttention", 2, 4)
    build_alike(theirs, mine, query, value)
    # Keras's NumPy engine has no masks on its arrays: it gets all of them joined.
    joined = attention_mask & query_mask[:, :, None] & value_mask[:, None, :]
    for scores in (False, True):
        expected = theirs(query, value, attention_mask=joined, return_attention_scores=scores)
        got = mine(
            masked(query, query_mask),
            masked(value, value_mask),
            attention_mask=attention_mask,
            return_attention_scores=scores,
        )
        for a, b in zip(values(expected), values(got), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)
        first = got[0] if scores else got
        np.testing.assert_array_equal(first._keras_mask, query_mask, err_msg="the output has the query's mask")


def test_attention_over_two_axes_and_sliding_window():
    query = array((2, 3, 4, 8))
    theirs, mine = pair("MultiHeadAttention", 2, 4, attention_axes=(1, 2))
    build_alike(theirs, mine, query, query)
    np.testing.assert_allclose(mine(query, query), theirs(query, query), rtol=1e-5, atol=1e-5)
    query = array((2, 6, 8))
    theirs, mine = pair("MultiHeadAttention", 2, 4, sliding_window=2)
    build_alike(theirs, mine, query, query)
    np.testing.assert_allclose(mine(query, query), theirs(query, query), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bad", [10, -1])
def test_an_index_no_embedding_has_is_an_error_that_names_the_layer_and_the_argument(bad):
    model = kcore.Sequential(
        [layers.Input((3,), dtype="int32"), layers.Embedding(10, 4, mask_zero=True, name="words"), layers.LSTM(2)]
    )
    model.compile("sgd", "mse")
    x = np.array([[1, 2, 3], [4, 0, bad]], "int32")
    said = rf"argument 'x' holds {bad} in row 1, but layer '.*/words' takes indices 0 to 9"
    with pytest.raises(ValueError, match=said):
        model.predict(x, verbose=0)
    with pytest.raises(ValueError, match=said):
        model.fit(x, np.zeros((2, 2), "float32"), verbose=0)
    with pytest.raises(ValueError, match=rf"argument 'indices' holds {bad} in row 1, but layer 'words' takes"):
        layers.Embedding(10, 4, name="words")(x)


def test_attention_minds_a_mask_without_a_warning():
    tokens = layers.Input((5,), dtype="int32")
    x = layers.Embedding(10, 8, mask_zero=True)(tokens)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = layers.MultiHeadAttention(2, 4, use_gate=True)(x, x)
        model = kcore.Model(tokens, y)
        out = model.predict(np.array([[1, 2, 3, 0, 0], [1, 2, 3, 4, 5]]), verbose=0)
    assert y._keras_mask is not None
    short = model.predict(np.array([[1, 2, 3, 0, 0]]), verbose=0)
    np.testing.assert_allclose(out[0, :3], short[0, :3], rtol=1e-5)
    with_other = model.predict(np.array([[1, 2, 3, 7, 9]]), verbose=0)
    assert not np.allclose(with_other[0, :3], short[0, :3], rtol=1e-4)
