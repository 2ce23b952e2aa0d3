"""``kcore demo``: a convolutional model on scikit-learn's handwritten digits, trained, tested, saved and asked."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from kcore.extras import require

#: Grey levels as characters, from paper to ink.
INK = " .:-=+*#%@"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--epochs", type=int, default=24, help="passes over the training set (default 24)")
    parser.add_argument("--seed", type=int, default=1, help="of the weights, the order and dropout (default 1)")
    parser.add_argument("--save", type=Path, default=Path("digits.weights.h5"), help="file for the weights")
    parser.add_argument("--verbose", choices=("auto", "0", "1", "2"), default="auto", help="progress bar, as in fit()")


def load_digits(test_share: float = 0.2) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The digits of 43 people, 8 by 8 pixels each, with a test set held out.

    Args:
        test_share: part of the images in the test set.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: images float32 (samples, 8, 8, 1) in [0, 1], labels int32 (samples,).
    """
    digits = require("sklearn.datasets", "demo", "the demo").load_digits()
    x = (digits.images[..., None] / 16).astype("float32")
    y = digits.target.astype("int32")
    order = np.random.default_rng(0).permutation(len(x))  # the file is sorted by writer
    test, train = np.split(order, [int(len(x) * test_share)])
    return (x[train], y[train]), (x[test], y[test])


def make_model() -> Any:
    """Two convolutions, pooling, dropout, and a softmax over the ten digits."""
    from kcore import Sequential, layers

    return Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ],
        name="digits",
    )


def as_text(image: np.ndarray) -> list[str]:
    """An image as lines of characters, each pixel twice as wide as a character.

    Example:
        >>> as_text(np.array([[0.0, 1.0], [0.5, 0.0]]))
        ['  @@', '++  ']
    """
    levels = np.clip(image.reshape(image.shape[:2]) * len(INK), 0, len(INK) - 1).astype(int)
    return ["".join(INK[level] * 2 for level in row) for row in levels]


def run(args: argparse.Namespace) -> int:
    """Train, test, save, predict."""
    (x_train, y_train), (x_test, y_test) = load_digits()

    import kcore

    kcore.set_random_seed(args.seed)
    model = make_model()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.summary()
    print(f"\ntraining on {len(x_train)} images with backend {kcore.backend.current()}")
    verbose: Any = args.verbose if args.verbose == "auto" else int(args.verbose)
    model.fit(x_train, y_train, batch_size=64, epochs=args.epochs, verbose=verbose)

    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"\ntest accuracy {accuracy:.3f} on {len(x_test)} images it has never seen")
    model.save_weights(args.save)
    print(f"weights saved in {args.save.resolve()}")

    print("\nthree of them, and what the model says:")
    shown = [int(np.flatnonzero(y_test == digit)[0]) for digit in (3, 5, 7)]
    probabilities = np.asarray(model.predict(x_test[shown], verbose=0))
    for lines in zip(*map(as_text, x_test[shown]), strict=True):
        print("   ".join(lines))
    said = (f"{p.argmax()} ({p.max():.0%}), is {label}" for p, label in zip(probabilities, y_test[shown], strict=True))
    print("   ".join(text.ljust(16) for text in said).rstrip())
    return 0
