"""Trainings whose logs are compared with Keras's; run as a script under Keras on JAX it prints Keras's logs.

KERAS_BACKEND=jax python tests/training/record_training.py
"""

from __future__ import annotations

from typing import Any

import numpy as np


def draw(seed: int, *shape: int) -> np.ndarray:
    return np.random.RandomState(seed).uniform(-1, 1, shape).astype("float32")


X, R = draw(0, 23, 4), draw(1, 23, 2)
LABELS = np.arange(23) * 7 % 3
ONE_HOT = np.eye(3, dtype="float32")[LABELS]
W = np.abs(draw(2, 23))
SEQUENCES, STEPS, STEP_WEIGHTS = draw(3, 11, 5, 4), np.arange(55).reshape(11, 5) * 5 % 3, np.abs(draw(4, 11, 5))


def fill(model: Any) -> Any:
    model.set_weights([draw(10 + i, *w.shape) for i, w in enumerate(model.get_weights())])
    return model


def one(k: Any, units: int = 3, activation: str | None = "softmax", **compiled: Any) -> Any:
    L = k.layers
    model = k.Sequential([k.Input((4,)), L.Dense(5, activation="tanh"), L.Dense(units, activation=activation)])
    model.compile(k.optimizers.SGD(0.1, momentum=0.5), **compiled)
    return fill(model)


def two(k: Any, **compiled: Any) -> Any:
    x = k.Input((4,), name="x")
    hidden = k.layers.Dense(5, activation="tanh", kernel_regularizer="l2")(x)
    outputs = [k.layers.Dense(2, name="p")(hidden), k.layers.Dense(3, activation="softmax", name="q")(hidden)]
    model = k.Model(x, outputs)
    model.compile(k.optimizers.Adam(0.05), **compiled)
    return fill(model)


def tagger(k: Any, **compiled: Any) -> Any:
    model = k.Sequential([k.Input((5, 4)), k.layers.Dense(3, activation="softmax")])
    model.compile(k.optimizers.SGD(0.2), "sparse_categorical_crossentropy", **compiled)
    return fill(model)


def batches(size: int, *arrays: np.ndarray) -> Any:
    while True:
        for start in range(0, len(arrays[0]), size):
            yield tuple(a[start : start + size] for a in arrays)


def dataset(k: Any, size: int, *arrays: np.ndarray) -> Any:
    class Cut(k.utils.PyDataset):
        def __len__(self) -> int:
            return -(-len(arrays[0]) // size)

        def __getitem__(self, i: int) -> Any:
            return tuple(a[i * size : i * size + size] for a in arrays)

    return Cut()


SPARSE = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
CASES: dict[str, Any] = {
    "partial batches": lambda k: one(k, **SPARSE).fit(X, LABELS, batch_size=8, **FIT),
    "class_weight": lambda k: one(k, weighted_metrics=["accuracy"], **SPARSE).fit(
        X, LABELS, batch_size=8, class_weight={0: 0.5, 2: 3.0}, validation_split=0.2, **FIT
    ),
    "class_weight, one-hot": lambda k: one(k, loss="categorical_crossentropy", weighted_metrics=["mse"]).fit(
        X, ONE_HOT, batch_size=8, class_weight={1: 2.0}, **FIT
    ),
    "sample_weight": lambda k: one(k, 2, None, loss="mse", metrics=["mae"], weighted_metrics=["mae"]).fit(
        X, R, batch_size=8, sample_weight=W, validation_data=(X[:7], R[:7], W[:7]), validation_batch_size=3, **FIT
    ),
    "weights per output": lambda k: two(
        k, loss=["mse", "categorical_crossentropy"], loss_weights=[0.3, 2.0], weighted_metrics=[["mae"], ["accuracy"]]
    ).fit(X, [R, ONE_HOT], batch_size=8, sample_weight=[W, W[::-1].copy()], **FIT),
    "outputs by name": lambda k: two(
        k, loss={"p": "mae", "q": "sparse_categorical_crossentropy"}, metrics={"q": ["accuracy"]}
    ).fit(X, {"p": R, "q": LABELS}, batch_size=8, validation_split=0.3, validation_freq=2, **FIT),
    "weights per time step": lambda k: tagger(k, weighted_metrics=["accuracy"]).fit(
        SEQUENCES, STEPS, batch_size=4, sample_weight=STEP_WEIGHTS, **FIT
    ),
    "a generator": lambda k: one(k, 2, None, loss="mse").fit(
        batches(5, X, R, W),
        steps_per_epoch=4,
        validation_data=(X, R),
        validation_steps=2,
        validation_batch_size=6,
        **FIT,
    ),
    "a PyDataset": lambda k: one(k, **SPARSE).fit(
        dataset(k, 6, X, LABELS), validation_data=dataset(k, 10, X, LABELS), class_weight={0: 4.0}, **FIT
    ),
    "steps_per_epoch of arrays": lambda k: one(k, **SPARSE).fit(X, LABELS, batch_size=6, steps_per_epoch=3, **FIT),
    "steps alone": lambda k: one(k, **SPARSE).fit(X, LABELS, steps_per_epoch=5, **FIT),
}
FIT = {"epochs": 3, "shuffle": False, "verbose": 0}


def logs(k: Any, case: str) -> dict[str, list[float]]:
    return {name: [round(float(v), 6) for v in values] for name, values in CASES[case](k).history.items()}


if __name__ == "__main__":
    import keras

    for name in CASES:
        print(f"    {name!r}: {logs(keras, name)},")
