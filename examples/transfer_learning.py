"""Learn the digits 5 to 9 from twenty-five pictures: features learned on 0 to 4, frozen, then fine-tuned."""

import argparse

import numpy as np
from sklearn.datasets import load_digits

import kcore as keras

layers = keras.layers


def make_features():
    """(8, 8, 1) -> (288,) features."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(32, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
        ],
        name="features",
    )


def classifier(features, classes):
    """Features and a fresh layer for the classes; `training=False` leaves BatchNormalization's statistics alone."""
    inputs = keras.Input((8, 8, 1))
    outputs = layers.Dense(classes, activation="softmax")(features(inputs, training=False))
    return keras.Model(inputs, outputs)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=6, help="on the digits 0 to 4")
    parser.add_argument("--few", type=int, default=25, help="pictures of the digits 5 to 9")
    options = parser.parse_args(argv)

    keras.utils.set_random_seed(1)
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    x, y = (digits.images[order, :, :, None] / 16).astype("float32"), digits.target[order]
    old, new = y < 5, y >= 5
    x_few, y_few = x[new][: options.few], y[new][: options.few] - 5
    x_test, y_test = x[new][200:], y[new][200:] - 5

    features = make_features()
    first = keras.Sequential([features, layers.Dense(5, activation="softmax")])
    first.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    first.fit(x[old], y[old], batch_size=32, epochs=options.epochs, verbose=2)

    # 1. only the new layer learns
    features.trainable = False
    model = classifier(features, 5)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    kept = [w.copy() for w in features.get_weights()]
    model.fit(x_few, y_few, batch_size=16, epochs=5 * options.epochs, verbose=0)
    assert all((a == b).all() for a, b in zip(kept, features.get_weights(), strict=True)), "frozen weights have moved"
    frozen = model.evaluate(x_test, y_test, verbose=0)[1]

    # 2. everything learns, in small steps; `trainable` counts from the next compile on
    features.trainable = True
    model.compile(keras.optimizers.Adam(0.0005), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_few, y_few, batch_size=16, epochs=5 * options.epochs, verbose=0)
    tuned = model.evaluate(x_test, y_test, verbose=0)[1]

    scratch = classifier(make_features(), 5)
    scratch.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    scratch.fit(x_few, y_few, batch_size=16, epochs=5 * options.epochs, verbose=0)
    alone = scratch.evaluate(x_test, y_test, verbose=0)[1]
    print(
        f"accuracy on {len(y_test)} digits from 5 to 9, learned from {len(y_few)}: from scratch {alone:.1%}, "
        f"frozen features {frozen:.1%}, fine-tuned {tuned:.1%}"
    )
    return {"scratch": alone, "frozen": frozen, "tuned": tuned}


if __name__ == "__main__":
    main()
