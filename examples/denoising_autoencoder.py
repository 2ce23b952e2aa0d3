"""Clean noisy digits: a convolutional autoencoder that is shown the noisy picture and asked for the clean one."""

import argparse

import numpy as np
from sklearn.datasets import load_digits

import kcore as keras

layers = keras.layers

INK = " .:-=+*#%@"


def build():
    """(8, 8, 1) noisy -> (8, 8, 1) clean, both in [0, 1], through a code of (2, 2, 16)."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
        ]
    )


def show(*pictures):
    """Pictures side by side as text."""
    for rows in zip(*pictures, strict=True):
        print("   ".join("".join(INK[int(round(float(v) * 9))] * 2 for v in row[:, 0]) for row in rows))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args(argv)

    keras.utils.set_random_seed(1)
    draw = np.random.default_rng(0)
    digits = load_digits()
    clean = (digits.images[draw.permutation(len(digits.images)), :, :, None] / 16).astype("float32")
    noisy = np.clip(clean + 0.35 * draw.normal(size=clean.shape), 0, 1).astype("float32")
    x, x_test, y, y_test = noisy[:-300], noisy[-300:], clean[:-300], clean[-300:]

    model = build()
    model.compile(keras.optimizers.Adam(0.003), "binary_crossentropy", metrics=["mse"])
    model.fit(x, y, batch_size=64, epochs=options.epochs, validation_split=0.1, verbose=2)

    cleaned = model.predict(x_test, verbose=0)
    before, after = float(((x_test - y_test) ** 2).mean()), float(((cleaned - y_test) ** 2).mean())
    print("noisy              cleaned            clean")
    show(x_test[0], cleaned[0], y_test[0])
    print(f"mean squared error against the clean picture: noisy {before:.4f}, cleaned {after:.4f}")
    return {"before": before, "after": after}


if __name__ == "__main__":
    main()
