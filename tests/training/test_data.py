"""Data on its way into training: checks with their messages, splits, batches."""

from __future__ import annotations

import numpy as np
import pytest

from kcore.backend.batch import Rows
from kcore.training.data import split, to_arrays
from kcore.training.epochs import Epochs
from kcore.training.sources.arrays import ArrayBatches


def gathered(batches):
    return [np.asarray(b) for b in batches]


def test_lengths_that_differ_are_named_with_their_shapes():
    with pytest.raises(
        ValueError, match=r"same number of samples: x has 4 \(shape \(4, 2\)\), y has 3 \(shape \(3,\)\)"
    ):
        ArrayBatches(np.zeros((4, 2)), np.zeros(3))


def test_lengths_inside_a_structure_are_named_by_their_key():
    with pytest.raises(ValueError, match=r"x\['a'\] has 4 .*x\['b'\] has 5"):
        ArrayBatches({"a": np.zeros((4, 2)), "b": np.zeros((5, 2))})


def test_empty_data_is_refused():
    with pytest.raises(ValueError, match=r"x has no samples \(shape \(0, 3\)\)"):
        ArrayBatches(np.zeros((0, 3)), np.zeros((0,)))


@pytest.mark.parametrize("size", [0, -1, 2.5, True])
def test_a_batch_size_that_is_no_positive_integer_is_refused(size):
    with pytest.raises(ValueError, match="batch_size must be a positive integer or None, received"):
        ArrayBatches(np.zeros((3, 1)), batch_size=size)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5, "0.2", None])
def test_a_validation_split_outside_0_and_1_is_refused(fraction):
    with pytest.raises(ValueError, match=rf"validation_split must lie between 0 and 1 .*received {fraction!r}"):
        split(np.zeros((4, 1)), None, None, fraction)


def test_a_split_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(ValueError, match="leaves nothing to train on: x has 1 samples"):
        split(np.zeros((1, 1)), None, None, 0.5)


def test_the_split_takes_the_tail_at_the_floor():
    train, tail = split(np.arange(10), None, None, 0.25)
    assert train[0].tolist() == list(range(7))
    assert tail[0].tolist() == [7, 8, 9]


@pytest.mark.parametrize("bad", [np.array(["a", "b"]), np.array([b"a"]), np.array([None, 1], dtype=object)])
def test_text_and_objects_are_refused_with_their_dtype(bad):
    with pytest.raises(ValueError, match=r"y must hold numbers, but its dtype is .*\(shape|y must hold numbers"):
        to_arrays(bad, "y")


def test_a_list_of_strings_is_refused():
    with pytest.raises(ValueError, match="x must hold numbers"):
        to_arrays(["cat", "dog"], "x")


def test_a_nested_list_of_numbers_is_one_array():
    assert to_arrays([[1, 2], [3, 4]], "x").shape == (2, 2)


def test_scalars_are_refused():
    with pytest.raises(ValueError, match="x must have a first axis of samples"):
        to_arrays(np.float32(3.0), "x")


def test_floats_become_floatx_and_integers_stay():
    batch = next(ArrayBatches(np.zeros((4, 2)), np.zeros(4, "int64"), batch_size=3).batches())
    assert [type(part) for part in batch] == [Rows, Rows]
    assert [part.dtype for part in batch] == ["float32", "int64"]


def test_the_last_batch_holds_the_rest():
    source = ArrayBatches(np.arange(5.0), batch_size=2)
    assert source.num_batches == 3
    assert [b.shape for b in source.batches()] == [(2,), (2,), (1,)]


def test_shuffling_gives_every_sample_once_and_another_order_each_epoch():
    source = ArrayBatches(np.arange(50.0), batch_size=8, shuffle=True)
    first, second = (np.concatenate(gathered(source.batches())) for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(50))
    assert first.tolist() != second.tolist()


def test_shuffling_by_batch_keeps_samples_in_their_batch():
    batches = gathered(ArrayBatches(np.arange(8.0), batch_size=4, shuffle="batch").batches())
    assert sorted(batches[0]) == [0, 1, 2, 3]


def test_an_epoch_with_steps_goes_on_where_the_last_one_stopped():
    epochs = Epochs(ArrayBatches(np.arange(6.0), batch_size=1), steps=3)
    seen = [[float(np.asarray(b[0])[0]) for _, _, b in epochs] for _ in range(3)]
    assert seen == [[0, 1, 2], [3, 4, 5], [0, 1, 2]]


def test_steps_are_dealt_out_together():
    epochs = Epochs(ArrayBatches(np.arange(5.0), batch_size=1), steps_per_execution=2)
    assert [(first, last, len(batches)) for first, last, batches in epochs] == [(0, 1, 2), (2, 3, 2), (4, 4, 1)]
