"""Are these two digits the same? One encoder that both pictures share, trained on pairs.

Tested on pairs of digits of which it has never seen one: 8 and 9 are left out of training.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits

import kcore as keras

layers, ops = keras.layers, keras.ops


def pairs(x, y, count, seed):
    """Two pictures each and whether they show the same digit, 1, or not, 0, half and half: float32 (count, 1)."""
    draw = np.random.default_rng(seed)
    first = draw.integers(0, len(y), size=count)
    same = (np.arange(count) % 2).astype("float32")
    second = np.array([draw.choice(np.flatnonzero((y == y[i]) == bool(s))) for i, s in zip(first, same, strict=True)])
    return (x[first], x[second]), same[:, None]


def contrastive(y_true, y_pred):
    """Pairs that belong together are pulled together, others pushed apart up to a distance of 1."""
    y_true = ops.cast(y_true, y_pred.dtype)
    return ops.mean(y_true * ops.square(y_pred) + (1 - y_true) * ops.square(ops.maximum(1 - y_pred, 0)), axis=-1)


class Distance(layers.Layer):
    """Euclidean distance of two codes: (batch, n), (batch, n) -> (batch, 1)."""

    def call(self, inputs):
        a, b = inputs
        return ops.sqrt(ops.maximum(ops.sum(ops.square(a - b), axis=-1, keepdims=True), 1e-7))


def near(y_true, y_pred):
    """Share of pairs told rightly by a distance below or above one half."""
    return ops.mean(ops.cast(ops.equal(y_true > 0.5, y_pred < 0.5), "float32"), axis=-1)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--pairs", type=int, default=4000)
    options = parser.parse_args(argv)

    keras.utils.set_random_seed(1)
    digits = load_digits()
    x, y = (digits.images[..., None] / 16).astype("float32"), digits.target
    seen = y < 8
    (a, b), same = pairs(x[seen], y[seen], options.pairs, seed=0)
    (a_new, b_new), same_new = pairs(x[~seen], y[~seen], 600, seed=1)

    encoder = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(16),
        ],
        name="encoder",
    )
    left, right = keras.Input((8, 8, 1), name="left"), keras.Input((8, 8, 1), name="right")
    model = keras.Model([left, right], Distance(name="distance")([encoder(left), encoder(right)]))
    model.compile(keras.optimizers.Adam(0.002), contrastive, metrics=[near])
    model.fit([a, b], same, batch_size=64, epochs=options.epochs, validation_split=0.1, verbose=2)

    result = model.evaluate([a_new, b_new], same_new, verbose=0, return_dict=True)
    print(
        f"8 and 9, which it has never seen: {result['near']:.1%} of {len(same_new)} pairs told rightly (guessing: 50 %)"
    )
    return {"near": float(result["near"]), "weights": len(model.trainable_weights)}


if __name__ == "__main__":
    main()
