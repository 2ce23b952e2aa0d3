"""Sequences, windows and splits beside Keras's own."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kcore import utils
from kcore.runtime import convert_to_tensor

WORDS = [[1], [2, 3], [], [4, 5, 6, 7]]


@pytest.mark.parametrize("maxlen", [None, 1, 3, 6])
@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
def test_pad_sequences_is_keras_s(maxlen, padding, truncating):
    options = {"maxlen": maxlen, "padding": padding, "truncating": truncating, "value": -1, "dtype": "int64"}
    ours, theirs = utils.pad_sequences(WORDS, **options), keras.utils.pad_sequences(WORDS, **options)
    np.testing.assert_array_equal(ours, theirs)
    assert ours.dtype == theirs.dtype


def test_pad_sequences_of_vectors_and_of_strings():
    vectors = [np.ones((2, 3)), np.full((1, 3), 2.0)]
    np.testing.assert_array_equal(
        utils.pad_sequences(vectors, dtype="float32"), keras.utils.pad_sequences(vectors, dtype="float32")
    )
    assert utils.pad_sequences([["a"], ["b", "c"]], dtype=object, value="-").tolist() == [["-", "a"], ["b", "c"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2],), "expected a sequence at position 0, found 1"),
        ((WORDS, 3, "int32", "left"), "padding must be 'pre' or 'post', received 'left'"),
        ((WORDS, 3, "int32", "pre", "both"), "truncating must be 'pre' or 'post', received 'both'"),
        (([np.ones((1, 2)), np.ones((1, 3))],), r"the elements at position 1 have shape \(3,\), those before \(2,\)"),
        ((WORDS, 3, "int32", "pre", "pre", "x"), "for strings pass dtype=object"),
        ((iter([]),), "expected a list of sequences, received a list_iterator"),
    ],
)
def test_pad_sequences_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        utils.pad_sequences(*arguments)


@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("order", [1, 2])
def test_normalize_is_keras_s(axis, order):
    x = np.random.default_rng(0).normal(size=(3, 4, 2))
    x[0] = 0
    np.testing.assert_allclose(
        utils.normalize(x, axis, order),
        keras.utils.normalize(x, axis, order) if axis else x / np.where((n := np.linalg.norm(x, order, 0)) == 0, 1, n),
    )
    np.testing.assert_allclose(
        utils.normalize(convert_to_tensor(x), axis, order).numpy(), utils.normalize(x, axis, order)
    )


#: (options, batches) as Keras 3.15.1 on TensorFlow gives them: ``[[t.numpy().tolist() for t in b] for b in
#: keras.utils.timeseries_dataset_from_array(arange(12), arange(12) * 10, **options)]``
RECORDED = [
    (
        {"sequence_length": 3, "batch_size": 4},
        [
            [[[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]], [0, 10, 20, 30]],
            [[[4, 5, 6], [5, 6, 7], [6, 7, 8], [7, 8, 9]], [40, 50, 60, 70]],
            [[[8, 9, 10], [9, 10, 11]], [80, 90]],
        ],
    ),
    (
        {
            "sequence_length": 2,
            "sequence_stride": 3,
            "sampling_rate": 2,
            "batch_size": 8,
            "start_index": 1,
            "end_index": 11,
        },
        [[[[1, 3], [4, 6], [7, 9]], [10, 40, 70]]],
    ),
    ({"sequence_length": 5, "sequence_stride": 5, "batch_size": None}, [[[0, 1, 2, 3, 4], 0], [[5, 6, 7, 8, 9], 50]]),
]


@pytest.mark.parametrize(("options", "expected"), RECORDED)
def test_windows_are_keras_s(options, expected):
    windows = utils.timeseries_dataset_from_array(np.arange(12), np.arange(12) * 10, **options)
    assert len(windows) == len(expected)
    assert [[x.tolist(), y.tolist()] for x, y in windows] == expected
    assert [[x.tolist(), y.tolist()] for x, y in windows] == expected  # it starts anew


def test_shuffled_windows_are_the_same_ones_in_another_order_each_time():
    def starts(seed):
        windows = utils.timeseries_dataset_from_array(np.arange(40), None, 2, batch_size=8, shuffle=True, seed=seed)
        return [[int(s) for x in windows for s in x[:, 0]] for _ in range(2)]

    first, second = starts(7)
    assert first != second
    assert sorted(first) == sorted(second) == list(range(39))
    assert starts(7) == [first, second]
    assert starts(8)[0] != first


def test_a_model_trains_on_windows():
    import kcore

    series = np.sin(np.arange(200) / 5).astype("float32")[:, None]
    windows = utils.timeseries_dataset_from_array(series[:-1], series[10:], 10, batch_size=16)
    model = kcore.Sequential([kcore.Input((10, 1)), kcore.layers.Flatten(), kcore.layers.Dense(1)])
    model.compile("adam", "mse")
    losses = model.fit(windows, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sequence_length": 0}, "sequence_length must be an integer from 1 on, received 0"),
        ({"sequence_length": 3, "sampling_rate": 1.5}, "sampling_rate must be an integer from 1 on, received 1.5"),
        ({"sequence_length": 3, "start_index": 12}, "start_index must be an integer from 0 to 11, received 12"),
        (
            {"sequence_length": 3, "start_index": 5, "end_index": 5},
            "end_index must be an integer from 6 on, received 5",
        ),
        ({"sequence_length": 13}, "a window of 13 times at rate 1 does not fit into 12 times of data"),
        ({"sequence_length": 3, "batch_size": 0}, "batch_size must be an integer from 1 on"),
    ],
)
def test_windows_refuse(options, message):
    with pytest.raises(ValueError, match=message):
        utils.timeseries_dataset_from_array(np.arange(12), None, **options)


@pytest.mark.parametrize(
    ("left", "right", "sizes"), [(0.6, None, (6, 4)), (None, 3, (7, 3)), (2, 2, (2, 2)), (0.5, 0.2, (5, 2))]
)
def test_split_dataset(left, right, sizes):
    data = {"x": np.arange(10), "y": np.arange(10) * 2}
    first, second = utils.split_dataset(data, left, right)
    assert (len(first["x"]), len(second["x"])) == sizes
    np.testing.assert_array_equal(first["x"] * 2, first["y"])
    np.testing.assert_array_equal(second["x"], np.arange(10 - sizes[1], 10))
    mixed, rest = utils.split_dataset(data, left, right, shuffle=True, seed=3)
    assert not set(mixed["x"]) & set(rest["x"])
    np.testing.assert_array_equal(mixed["x"] * 2, mixed["y"])
    np.testing.assert_array_equal(mixed["x"], utils.split_dataset(data, left, right, shuffle=True, seed=3)[0]["x"])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1, 2], 1), ValueError, r"expected arrays with an axis of samples, received \[1, 2\]"),
        ((np.arange(2), None, None), ValueError, "give left_size, right_size or both"),
        ((np.arange(4), 1.5), ValueError, r"left_size must lie in \[0, 4\] .* received 1.5"),
        ((np.arange(4), 3, 2), ValueError, "3 and 2 samples are more than the 4"),
        (((np.arange(4), np.arange(5)), 0.5), ValueError, r"of one length, received lengths \[4, 5\]"),
        ((np.arange(4), "half"), TypeError, "left_size must be an integer or a float"),
    ],
)
def test_split_dataset_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        utils.split_dataset(*arguments)
