"""Loaders of PyTorch as training data; needs torch, whose numbers are compared with those of the same arrays."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import layers

torch = pytest.importorskip("torch")
data = torch.utils.data

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(22, 3)).astype("float32"), RNG.integers(0, 2, (22, 1)).astype("float32")
WEIGHTS = RNG.random(22).astype("float32")


def linear():
    model = kcore.Sequential([kcore.Input((3,)), layers.Dense(1, activation="sigmoid", kernel_initializer="ones")])
    model.compile(kcore.optimizers.SGD(0.1), "binary_crossentropy", metrics=["accuracy"], weighted_metrics=["mae"])
    return model


def loader(*arrays, **options):
    return data.DataLoader(data.TensorDataset(*map(torch.from_numpy, arrays)), batch_size=5, **options)


class Stream(data.IterableDataset):
    """Rows one by one, of which nobody knows how many there are."""

    def __iter__(self):
        return iter(zip(X, Y, strict=True))


@pytest.mark.parametrize(
    "arrays, options",
    [
        ((X, Y), {}),
        ((X, Y, WEIGHTS), {}),
        ((X, Y), {"drop_last": True}),
        ((X, Y), {"num_workers": 2}),
    ],
    ids=["pairs", "weights", "drop_last", "workers"],
)
def test_fit_evaluate_and_predict_are_those_of_arrays(arrays, options):
    mine, plain = linear(), linear()
    kept = 20 if options.get("drop_last") else 22
    x, y, weights = (*(a[:kept] for a in arrays), None)[:3]
    history = mine.fit(loader(*arrays, **options), validation_data=loader(*arrays), epochs=2, verbose=0)
    same = {"batch_size": 5, "epochs": 2, "shuffle": False, "verbose": 0, "validation_batch_size": 5}
    expected = plain.fit(x, y, sample_weight=weights, validation_data=arrays, **same)
    assert history.params["steps"] == len(loader(*arrays, **options))
    assert sorted(history.history) == sorted(expected.history)
    for name, values in expected.history.items():
        np.testing.assert_allclose(history.history[name], values, rtol=1e-6)
    for got, weight in zip(mine.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(got, weight, rtol=1e-6)
    expected = plain.evaluate(X, Y, sample_weight=weights if weights is None else WEIGHTS, verbose=0)
    np.testing.assert_allclose(mine.evaluate(loader(*arrays), verbose=0), expected, rtol=1e-5)
    np.testing.assert_allclose(mine.predict(loader(X), verbose=0), plain.predict(X, verbose=0), rtol=1e-5)


def test_a_loader_that_shuffles_gives_another_order_each_epoch_and_every_row_once():
    seen = []

    class Watch(layers.Layer):
        def call(self, inputs):
            return inputs

    rows = np.arange(10, dtype="float32")[:, None]
    model = kcore.Sequential([kcore.Input((1,)), Watch()])
    model.compile("sgd", lambda y, p: seen.append(np.asarray(y).ravel()) or kcore.ops.square(y - p), run_eagerly=True)
    dataset = data.TensorDataset(torch.from_numpy(rows), torch.from_numpy(rows))
    for _ in range(2):
        model.evaluate(data.DataLoader(dataset, batch_size=5, shuffle=True), verbose=0)
    first, second = np.concatenate(seen[-4:-2]), np.concatenate(seen[-2:])
    assert sorted(first) == sorted(second) == rows.ravel().tolist()
    assert first.tolist() != second.tolist()


def test_a_stream_has_no_length_and_is_read_to_its_end():
    history = linear().fit(data.DataLoader(Stream(), batch_size=5), epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2


def test_what_a_data_set_raises_reaches_the_user():
    class Broken(data.Dataset):
        def __len__(self):
            return 10

        def __getitem__(self, index):
            if index == 7:
                raise KeyError("row 7 is missing")
            return X[index], Y[index]

    with pytest.raises(KeyError, match="row 7 is missing"):
        linear().fit(data.DataLoader(Broken(), batch_size=5), verbose=0)
