"""Six small models, one of each family kcore is measured on, with data and seeds: their losses are known numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


def _rng() -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=7))


def _uniform(*shape: int) -> np.ndarray:
    return _rng().uniform(-1, 1, shape).astype("float32")


def _labels(count: int, classes: int) -> np.ndarray:
    return _rng().integers(0, classes, count)


def mlp() -> tuple[Any, np.ndarray, np.ndarray]:
    """Dense layers with dropout, RMSprop, one-hot labels."""
    from kcore import Input, Sequential, layers, optimizers

    model = Sequential(
        [
            Input((12,)), layers.Dense(16, activation="relu"), layers.Dropout(0.4), layers.Dense(9, activation="relu"),
            layers.Dropout(0.3), layers.Dense(5, activation="softmax"),
        ]
    )  # fmt: skip
    model.compile(optimizers.RMSprop(1e-2), "categorical_crossentropy", metrics=["accuracy"])
    return model, _uniform(16, 12), np.eye(5, dtype="float32")[_labels(16, 5)]


def mlp4() -> tuple[Any, np.ndarray, np.ndarray]:
    """Four hidden layers, Adam, a loss of logits."""
    from kcore import Input, Sequential, layers, losses, optimizers

    hidden = [layer for _ in range(4) for layer in (layers.Dense(8, activation="relu"), layers.Dropout(0.3))]
    model = Sequential([Input((10,)), *hidden, layers.Dense(4)])
    loss = losses.CategoricalCrossentropy(from_logits=True)
    model.compile(optimizers.Adam(1e-2), loss, metrics=["accuracy"])
    return model, _uniform(15, 10), np.eye(4, dtype="float32")[_labels(15, 4)]


def cnn() -> tuple[Any, np.ndarray, np.ndarray]:
    """Convolutions, pooling and dropout, integer labels."""
    from kcore import Input, Sequential, layers

    model = Sequential(
        [
            Input((8, 8, 1)), layers.Conv2D(4, 3, activation="relu"), layers.Conv2D(5, 3, activation="relu"),
            layers.MaxPooling2D(2), layers.Dropout(0.25), layers.Flatten(), layers.Dense(9, activation="relu"),
            layers.Dropout(0.5), layers.Dense(4, activation="softmax"),
        ]
    )  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, _uniform(6, 8, 8, 1), _labels(6, 4)


def resnet() -> tuple[Any, np.ndarray, np.ndarray]:
    """Residual units with batch normalization, momentum."""
    from kcore import Input, Model, layers, optimizers

    def conv(x: Any, filters: int, size: int, strides: int) -> Any:
        x = layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    def unit(x: Any, filters: int, strides: int) -> Any:
        h = layers.ReLU()(conv(x, filters, 3, strides))
        h = conv(h, filters, 3, 1)
        if strides != 1 or x.shape[-1] != filters:
            x = conv(x, filters, 1, strides)
        return layers.ReLU()(layers.Add()([h, x]))

    image = Input((8, 8, 3))
    x = layers.ReLU()(conv(image, 4, 3, 1))
    for filters, strides in ((4, 1), (6, 2)):
        x = unit(x, filters, strides)
    scores = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    model = Model(image, scores)
    model.compile(optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, _uniform(6, 8, 8, 3), _labels(6, 3)


def lstm() -> tuple[Any, np.ndarray, np.ndarray]:
    """An embedding and a recurrent layer, binary labels."""
    from kcore import Input, Sequential, layers

    model = Sequential(
        [
            Input((7,), dtype="int32"), layers.Embedding(30, 6), layers.LSTM(5), layers.Dense(1, activation="sigmoid"),
        ]
    )  # fmt: skip
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model, _rng().integers(0, 30, (5, 7)).astype("int32"), _labels(5, 2).reshape(5, 1).astype("float32")


def transformer() -> tuple[Any, np.ndarray, np.ndarray]:
    """An encoder block: attention, layer normalization, gelu."""
    from kcore import Input, Model, layers

    tokens = Input((6,), dtype="int32")
    x = layers.Embedding(20, 8)(tokens)
    attended = layers.MultiHeadAttention(num_heads=2, key_dim=4)(x, x)
    x = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, attended]))
    forward = layers.Dense(8)(layers.Dense(16, activation="gelu")(x))
    x = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, forward]))
    scores = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling1D()(x))
    model = Model(tokens, scores)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, _rng().integers(0, 20, (4, 6)).astype("int32"), _labels(4, 2)


MODELS: dict[str, Callable[[], tuple[Any, np.ndarray, np.ndarray]]] = {
    f.__name__: f for f in (mlp, mlp4, cnn, resnet, lstm, transformer)
}


def train(name: str, steps: int, run_eagerly: bool = False) -> tuple[list[float], list[np.ndarray]]:
    """Losses of some training steps on one batch from seed 1, and the weights after them."""
    from kcore import set_random_seed

    set_random_seed(1)
    model, x, y = MODELS[name]()
    model.run_eagerly = run_eagerly
    losses = []
    for _ in range(steps):
        result = model.train_on_batch(x, y)
        losses.append(float(result[0] if isinstance(result, list | tuple) else result))
    return losses, [np.asarray(v.numpy()) for v in model.weights]


@dataclass(frozen=True)
class Agreement:
    """How a training on a device compares with NumPy's, from the same weights on.

    Attributes:
        same_start: whether the initial weights were the same bits.
        distance: Euclidean distance of the weights at the end.
        drift: that of NumPy's own float32 run from its float64 run.
        rounding: one rounding of all weights per step, where the former two happen to meet.
    """

    same_start: bool
    distance: float
    drift: float
    rounding: float

    @property
    def holds(self) -> bool:
        """Whether the device is no further from NumPy than float32 is from float64, four times over."""
        return self.same_start and self.distance <= 4 * max(self.drift, self.rounding)


def agreement(name: str, backend: str, steps: int = 100) -> Agreement:
    """Train a model on a device, on NumPy, and on NumPy in float64.

    Where a ReLU of one run has switched and that of another has not, their weights part by far more than rounding,
    which is the luck of a seed and no fault of either. So where it does not hold with the first seed, it must hold with
    the next two. The backend in use, floatx and the seed are others afterwards.

    Args:
        name: one of `MODELS`.
        backend: the device, as for `kcore.use_backend`.
        steps: training steps on one batch.

    Returns:
        The comparison with the first seed, or with a later one that does not hold or is the last.
    """
    found = _agreement(name, backend, steps, seed=1)
    if found.holds or not found.same_start:
        return found
    second = _agreement(name, backend, steps, seed=2)
    return _agreement(name, backend, steps, seed=3) if second.holds else second


def _agreement(name: str, backend: str, steps: int, seed: int) -> Agreement:
    start, ours = _weights(name, backend, steps, seed)
    begin, theirs = _weights(name, "numpy", steps, seed)
    _, exact = _weights(name, "numpy", steps, seed, "float64", begin)
    same = all(a.tobytes() == b.tobytes() for a, b in zip(start, begin, strict=True))
    size = _distance(exact, [np.zeros_like(w) for w in exact])
    rounding = steps**0.5 * float(np.finfo(np.float32).eps) * size
    return Agreement(same, _distance(ours, theirs), _distance(theirs, exact), rounding)


def _weights(
    name: str, backend: str, steps: int, seed: int, floatx: str = "float32", weights: Sequence[np.ndarray] | None = None
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The weights before and after some steps, the latter in float64."""
    from kcore import config, set_random_seed, use_backend

    use_backend(backend)
    config.set_floatx(floatx)
    set_random_seed(seed)
    model, x, y = MODELS[name]()
    if weights is not None:
        model.set_weights(weights)
    start = model.get_weights()
    for _ in range(steps):
        model.train_on_batch(x.astype(floatx) if x.dtype.kind == "f" else x, y)
    return start, [w.astype("float64") for w in model.get_weights()]


def _distance(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float:
    """Euclidean distance over all elements."""
    return float(np.sqrt(sum(np.sum((p - q) ** 2) for p, q in zip(a, b, strict=True))))
