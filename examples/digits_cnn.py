"""Read handwritten digits with a small convolutional network, watched by the usual callbacks.

Early stopping, a learning rate that falls on a plateau, a log of every epoch, and TensorBoard with ``--logdir``.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits

import kcore as keras

layers, callbacks = keras.layers, keras.callbacks


def build():
    """(8, 8, 1) in [0, 1] -> (10,) probabilities."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax"),
        ]
    )


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--logdir", help="folder for TensorBoard")
    parser.add_argument("--csv", help="file for a log of the epochs")
    options = parser.parse_args(argv)

    keras.utils.set_random_seed(1)
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))  # the file is sorted by writer
    x, y = (digits.images[order, :, :, None] / 16).astype("float32"), digits.target[order]
    x, x_test, y, y_test = x[:-360], x[-360:], y[:-360], y[-360:]

    model = build()
    model.summary()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    watch = [
        callbacks.EarlyStopping("val_loss", patience=6, restore_best_weights=True),
        callbacks.ReduceLROnPlateau("val_loss", factor=0.3, patience=3),
    ]
    if options.csv:
        watch.append(callbacks.CSVLogger(options.csv))
    if options.logdir:
        watch.append(callbacks.TensorBoard(options.logdir))
    history = model.fit(x, y, batch_size=64, epochs=options.epochs, validation_split=0.15, callbacks=watch, verbose=2)

    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    wrong = int(round((1 - accuracy) * len(y_test)))
    print(f"{len(history.epoch)} epochs; {wrong} of {len(y_test)} test digits are read wrongly ({accuracy:.1%} right)")
    return {"loss": loss, "accuracy": accuracy}


if __name__ == "__main__":
    main()
