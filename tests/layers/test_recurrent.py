"""Recurrent layers and their cells beside Keras's: values, masks, states, shapes, configurations, and errors."""

from __future__ import annotations

import numpy as np
import pytest
from reference import array, build_alike, keras, pair, same

import kcore
from kcore import layers, ops
from kcore.runtime import convert_to_tensor
from kcore.tree import flatten

MASK = np.array([[False, True, True, False, True], [True, True, False, False, False], [False] * 5])

#: Name and arguments of every layer that makes its cell itself.
KINDS = [("SimpleRNN", {}), ("GRU", {}), ("GRU", {"reset_after": False}), ("LSTM", {})]
kinds = pytest.mark.parametrize(("name", "extra"), KINDS, ids=lambda v: v if isinstance(v, str) else "-".join(v))


@kinds
@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "masked"])
@pytest.mark.parametrize(
    "config",
    [{}, {"go_backwards": True}, {"zero_output_for_mask": True}, {"use_bias": False}, {"activation": "relu"}],
    ids=lambda c: "-".join(c) or "plain",
)
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
def test_values_are_keras_s(name, extra, mask, config, sequences):
    call = {} if mask is None else {"mask": mask}
    config = {"return_sequences": sequences, "return_state": True, **extra, **config}
    same(name, array((3, 5, 4)), 3, call=call, **config)


@kinds
@pytest.mark.parametrize("implementation", [1, 2])
def test_cells(name, extra, implementation):
    if name != "SimpleRNN":
        extra = {**extra, "implementation": implementation}
    cell = getattr(layers, name + "Cell")(3, **extra)
    theirs, mine = pair(name + "Cell", 3, **extra)
    x, states = array((2, 4)), [array((2, 3), i) for i in range(len(cell.get_initial_state(2)))]
    build_alike(theirs, mine, x, states)
    for expected, got in zip(flatten(theirs(x, states)), flatten(mine(x, states)), strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-5)


@kinds
def test_initial_states(name, extra):
    theirs, mine = pair(name, 3, return_sequences=True, return_state=True, **extra)
    x = array((2, 5, 4))
    build_alike(theirs, mine, x)
    states = [array((2, 3), i + 1) for i in range(2 if name == "LSTM" else 1)]
    for a, b in zip(theirs(x, initial_state=states), mine(x, initial_state=states), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)


@kinds
def test_symbolic_initial_states_and_last_states_make_a_decoder(name, extra):
    """Sequence to sequence: the decoder begins where the encoder ended."""

    def build(k):
        source, target = k.Input((5, 4)), k.Input((3, 4))
        kind = getattr(k.layers, name)
        _, *states = kind(6, return_state=True, **extra)(source)
        y = kind(6, return_sequences=True, **extra)(target, initial_state=states)
        return k.Model([source, target], k.layers.Dense(2)(y))

    theirs, mine = build(keras), build(kcore)
    assert [tuple(w.shape) for w in mine.weights] == [tuple(w.shape) for w in theirs.weights]
    mine.set_weights(theirs.get_weights())
    x = [array((2, 5, 4)), array((2, 3, 4), 1)]
    np.testing.assert_allclose(mine.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-5, atol=1e-5)
    again = kcore.Model.from_config(mine.get_config())
    again.set_weights(mine.get_weights())
    np.testing.assert_array_equal(again.predict(x, verbose=0), mine.predict(x, verbose=0))


@kinds
def test_masks_come_from_embedding_and_masking(name, extra):
    """Outputs repeat while the mask is false, whoever made the mask."""
    ids = np.array([[1, 2, 0, 0], [3, 0, 4, 0]], "int32")

    def build(k):
        inputs = k.Input((4,), dtype="int32")
        x = k.layers.Embedding(5, 3, mask_zero=True)(inputs)
        x = getattr(k.layers, name)(3, return_sequences=True, **extra)(x)
        return k.Model(inputs, getattr(k.layers, name)(2, **extra)(x))

    theirs, mine = build(keras), build(kcore)
    mine.set_weights(theirs.get_weights())
    np.testing.assert_allclose(mine.predict(ids, verbose=0), theirs.predict(ids, verbose=0), rtol=1e-5, atol=1e-5)
    x = array((2, 4, 3))
    x[0, 1:3] = 0
    layer = getattr(layers, name)(3, **extra)
    masked = layer(layers.Masking()(x))
    np.testing.assert_allclose(masked, layer(x, mask=np.any(x != 0, -1)), rtol=1e-6)
    np.testing.assert_allclose(masked[0], layer(x[:1][:, [0, 3]])[0], rtol=1e-5, atol=1e-6)


def test_a_mask_before_the_first_valid_step_gives_zeros_not_the_initial_state():
    layer = layers.GRU(3, return_sequences=True)
    outputs = layer(array((1, 4, 2)), initial_state=array((1, 3), 1), mask=np.array([[False, True, False, True]]))
    assert not np.any(outputs.numpy()[0, 0])
    np.testing.assert_array_equal(outputs[0, 1], outputs[0, 2])


@pytest.mark.parametrize(("name", "gates"), [("SimpleRNN", 0), ("GRU", 3), ("LSTM", 4)])
@pytest.mark.parametrize(
    "config", [{"dropout": 0.5}, {"recurrent_dropout": 0.5}, {"dropout": 0.4, "recurrent_dropout": 0.4}]
)
def test_dropout_has_one_mask_for_all_steps(name, gates, config):
    layer = getattr(layers, name)(4, seed=3, return_sequences=True, **config)
    x = np.ones((2, 6, 5), "float32")
    still, moving = layer(x).numpy(), layer(x, training=True).numpy()
    assert not np.allclose(still, moving)
    assert np.array_equal(layer(x).numpy(), still)
    again = getattr(layers, name)(4, seed=3, return_sequences=True, **config)
    again.build((None, 6, 5))
    again.set_weights(layer.get_weights())
    np.testing.assert_allclose(again(x, training=True), moving, rtol=1e-6)
    cell = layer.cell
    inputs = convert_to_tensor(x[:, 0])
    mask = cell.get_dropout_mask(inputs)
    count = gates if gates and "recurrent_dropout" in config else None
    assert (len(mask) if isinstance(mask, list) else None) == (count if "dropout" in config else None)
    cell.reset_dropout_masks()


def test_dropout_in_stacked_cells_is_that_of_each_cell():
    cells = [layers.GRUCell(3, dropout=0.5, seed=1), layers.SimpleRNNCell(2, recurrent_dropout=0.5, seed=2)]
    layer = layers.RNN(cells, return_sequences=True)
    x = np.ones((2, 4, 5), "float32")
    still = layer(x).numpy()
    assert not np.allclose(layer(x, training=True), still)
    np.testing.assert_array_equal(layer(x), still)


class Sum(layers.Layer):
    """A cell with two states in one list: the sum so far, and the number of steps."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.state_size = (units, 1)
        self.output_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), initializer="ones", name="kernel")

    def call(self, inputs, states, training=False):
        total, count = states
        total = total + ops.matmul(inputs, self.kernel)
        return total / (count + 1.0), (total, count + 1.0)


def test_rnn_with_a_cell_of_the_user_with_several_states():
    x = array((2, 3, 4))
    outputs, total, count = layers.RNN(Sum(2), return_sequences=True, return_state=True)(x)
    sums = x.sum(-1).cumsum(1)
    np.testing.assert_allclose(outputs[..., 0], sums / np.arange(1, 4), rtol=1e-5)
    np.testing.assert_allclose(total[:, 1], sums[:, -1], rtol=1e-5)
    np.testing.assert_array_equal(count, np.full((2, 1), 3))
    symbolic = layers.RNN([Sum(2), Sum(3)], return_sequences=True)(layers.Input((None, 4)))
    assert symbolic.shape == (None, None, 3)


def test_a_cell_may_start_from_states_of_its_own():
    class Warm(Sum):
        def get_initial_state(self, batch_size=None):
            return [ops.ones((batch_size, self.units)), ops.zeros((batch_size, 1))]

    outputs = layers.RNN(Warm(2), return_sequences=True)(np.zeros((1, 2, 3), "float32"))
    np.testing.assert_allclose(outputs[0, :, 0], [1.0, 0.5])
    masked = layers.RNN(Warm(2), return_sequences=True)(np.zeros((1, 2, 3), "float32"), mask=np.array([[True, False]]))
    np.testing.assert_allclose(masked[0, :, 0], [1.0, 1.0])


@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "masked"])
@pytest.mark.parametrize("backwards", [False, True])
def test_stacked_cells(mask, backwards):
    def build(k):
        cells = [k.layers.LSTMCell(3), k.layers.GRUCell(4), k.layers.SimpleRNNCell(2)]
        return k.layers.RNN(cells, return_sequences=True, return_state=True, go_backwards=backwards)

    theirs, mine = build(keras), build(kcore)
    x = array((3, 5, 4))
    theirs(x)
    mine(x)
    mine.set_weights(theirs.get_weights())
    theirs.zero_output_for_mask = mine.zero_output_for_mask = mask is not None
    got, expected = (flatten(layer(x, mask=mask)) for layer in (mine, theirs))
    assert len(got) == 5
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, np.asarray(b), rtol=1e-5, atol=1e-5)
    again = layers.deserialize(layers.serialize(mine))
    assert [type(c).__name__ for c in again.cell.cells] == ["LSTMCell", "GRUCell", "SimpleRNNCell"]


@kinds
def test_unroll_gives_the_same(name, extra):
    theirs, mine = pair(name, 3, unroll=True, return_sequences=True, **extra)
    x = array((2, 4, 3))
    build_alike(theirs, mine, x)
    np.testing.assert_allclose(mine(x), theirs(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "mixed_float16", "float64"])
@pytest.mark.parametrize("name", ["SimpleRNN", "GRU", "LSTM"])
def test_other_dtypes(name, dtype):
    layer = getattr(layers, name)(3, dtype=dtype, return_sequences=True)
    plain = getattr(layers, name)(3, return_sequences=True)
    x = array((2, 4, 3))
    plain(x)
    outputs = layer(x)
    layer.set_weights(plain.get_weights())
    outputs = layer(x)
    assert outputs.dtype == layer.compute_dtype
    tolerance = {"float64": 1e-5, "bfloat16": 3e-2}.get(dtype, 5e-3)
    np.testing.assert_allclose(np.asarray(outputs, "float32"), plain(x), rtol=tolerance, atol=tolerance)


# -- training, against values recorded from Keras on JAX -------------------------------------------------------------
#
# Recorded by
#
#     KERAS_BACKEND=jax python tests/layers/record_recurrent.py
#
# which trains the same models with Keras, from the same weights and on the same data, and prints three numbers of each
# weight after three steps of SGD.

from record_recurrent import MODELS, fingerprint, train  # noqa: E402

RECORDED: dict[str, list[float]] = {
    "simple_rnn": [
        -0.142427,
        2.925094,
        -0.672563,
        -0.31865,
        1.751136,
        0.389174,
        0.505473,
        0.348185,
        0.165452,
        0.271258,
        0.956134,
        -0.066164,
        -0.93528,
        0.519214,
        -0.265355,
    ],
    "gru": [
        0.506416,
        4.455135,
        0.578835,
        1.234161,
        3.368964,
        0.148915,
        1.807667,
        2.333673,
        -0.277591,
        -1.813874,
        0.968027,
        -0.777141,
        0.216225,
        0.038832,
        0.196019,
    ],
    "gru_reset_before": [
        1.389266,
        4.681555,
        -0.213136,
        2.26792,
        3.821859,
        0.297123,
        0.683448,
        1.192616,
        0.617749,
        -1.247016,
        0.749933,
        -0.292625,
        -0.690092,
        0.245601,
        -0.283859,
    ],
    "lstm": [
        0.084762,
        6.107403,
        0.255639,
        2.984242,
        4.040064,
        0.048401,
        1.045823,
        2.025317,
        0.567975,
        1.622679,
        0.833436,
        0.404657,
        -0.340283,
        0.062035,
        -0.215634,
    ],
    "stacked": [
        1.265116,
        4.524938,
        -0.187911,
        2.291167,
        3.77651,
        0.324055,
        -0.86581,
        2.149942,
        -0.135103,
        1.174619,
        3.022554,
        0.583382,
        2.037084,
        1.992533,
        -0.093082,
        0.680841,
        1.123421,
        -0.329887,
        -0.686926,
        0.301339,
        -0.455003,
        -0.914991,
        0.427346,
        -0.391385,
    ],
    "bidirectional_gru": [
        0.13479,
        4.026133,
        0.2005,
        1.289557,
        3.302908,
        0.089916,
        1.861655,
        2.45031,
        -0.427801,
        2.862303,
        4.581531,
        0.425897,
        0.682105,
        2.966113,
        -0.398765,
        -0.167566,
        1.933186,
        0.119898,
        -0.858833,
        0.863477,
        0.249516,
        0.414688,
        0.2584,
        -0.086269,
    ],
    "bidirectional_lstm": [
        3.383633,
        6.587873,
        -0.430299,
        0.186133,
        4.332926,
        0.495284,
        -0.200965,
        1.620715,
        0.25269,
        4.246744,
        6.145737,
        0.574416,
        3.024706,
        3.879218,
        0.106167,
        -0.681331,
        1.409458,
        -0.390115,
        0.009348,
        0.541507,
        -0.00534,
        -0.950192,
        0.487585,
        -0.340649,
    ],
    "time_distributed": [
        0.005095,
        1.52674,
        0.681593,
        -0.382221,
        0.375892,
        0.22708,
        -0.222408,
        0.68454,
        -0.599217,
        -0.08465,
        0.00512,
        -0.014605,
    ],
    "conv_lstm": [
        0.96046,
        3.275138,
        0.472197,
        3.356309,
        6.086825,
        0.556579,
        -1.489015,
        1.09559,
        -0.53905,
        1.302014,
        2.011479,
        0.280454,
        -0.713607,
        0.466084,
        -0.031637,
    ],
}


@pytest.mark.parametrize("name", MODELS)
def test_weights_after_training_are_those_of_keras_on_jax(name):
    np.testing.assert_allclose(fingerprint(train(kcore, name)), RECORDED[name], rtol=2e-5, atol=2e-6)


# -- bad input -------------------------------------------------------------------------------------------------------


def test_inputs_of_the_wrong_rank_are_named():
    with pytest.raises(
        ValueError, match=r"layer 'r' \(GRU\): the input has shape \(2, 3\).*expected rank 3, got rank 2"
    ):
        layers.GRU(4, name="r")(np.ones((2, 3), "float32"))
    with pytest.raises(
        ValueError, match=r"expected sequences \(batch, time, ...\) of rank 3 or more, got shape \(2, 3\)"
    ):
        layers.RNN(layers.GRUCell(4))(np.ones((2, 3), "float32"))


@pytest.mark.parametrize("symbolic", [False, True])
def test_initial_states_that_do_not_fit_are_named(symbolic):
    def make(*shape):
        return layers.Input(batch_shape=shape) if symbolic else np.ones(shape, "float32")

    x = make(2, 3, 5)
    layer = layers.LSTM(4, name="r")
    with pytest.raises(ValueError, match=r"'r' \(LSTM\) has 2 state\(s\) of sizes \[4, 4\], got 1 initial state\(s\)"):
        layer(x, initial_state=[make(2, 4)])
    with pytest.raises(ValueError, match=r"initial state 1 has shape \(2, 5\), expected \(2, 4\)"):
        layer(x, initial_state=[make(2, 4), make(2, 5)])
    with pytest.raises(ValueError, match=r"initial state 0 has shape \(3, 4\), expected \(2, 4\)"):
        layer(x, initial_state=[make(3, 4), make(2, 4)])


def test_a_mask_of_the_wrong_shape_is_named():
    with pytest.raises(
        ValueError, match=r"'r' \(SimpleRNN\): the mask of sequences of shape \(2, 3, 5\) has the shape"
    ):
        layers.SimpleRNN(4, name="r")(np.ones((2, 3, 5), "float32"), mask=np.ones((2, 4), bool))


def test_cells_without_state_size_are_refused():
    class Cell(layers.Layer):
        def call(self, inputs, states):
            return inputs, states

    with pytest.raises(ValueError, match=r"RNN: argument cell=.*a recurrent cell needs a 'state_size'"):
        layers.RNN(Cell())
    with pytest.raises(ValueError, match=r"argument cells=.*a recurrent cell needs 'state_size'"):
        layers.StackedRNNCells([Cell()])
    with pytest.raises(ValueError, match="at least one cell"):
        layers.StackedRNNCells([])
    cell = Cell()
    cell.state_size = "four"
    with pytest.raises(
        ValueError, match="state_size of a recurrent cell is an integer or a list of integers, got 'four'"
    ):
        layers.RNN(cell)
    with pytest.raises(ValueError, match=r"a recurrent cell needs a method call"):
        layers.RNN(object())


def test_unroll_needs_a_number_of_steps():
    with pytest.raises(ValueError, match=r"'r' \(GRU\): unroll=True needs a known number of steps"):
        layers.GRU(4, unroll=True, name="r")(layers.Input((None, 3)))
