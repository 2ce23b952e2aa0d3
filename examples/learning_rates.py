"""Compare two learning rates on one architecture: the wrong way, and the right one.

Wrong: one model object is trained with the first rate, compiled with the second, and trained again. It goes on from
where the first run left it. Right: a fresh model for each rate, which `kcore.sweep` makes.
"""

from __future__ import annotations

import argparse

import pictures

import kcore
from kcore import layers

RATES = (0.003, 0.00003)


def build(learning_rate):
    """784 or 64 pixels -> 10 probabilities, through two hidden layers; compiled, its weights fresh."""
    model = kcore.Sequential(
        [layers.Dense(128, activation="relu"), layers.Dense(128, activation="relu"), layers.Dense(10, "softmax")]
    )
    model.compile(kcore.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def one_model(rates, data, **fit):
    """The wrong way: History per rate, of one model that is compiled anew and trained on."""
    kcore.set_random_seed(0)
    model = build(rates[0])
    runs = {}
    for rate in rates:
        model.compile(kcore.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        runs[rate] = model.fit(*data, **fit)
    return runs


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--data", default="digits", help="digits, mnist, or an .npz file")
    parser.add_argument("--picture", help="file for the comparison as a picture")
    options = parser.parse_args(argv)

    train, test = pictures.load(options.data)
    fit = {"epochs": options.epochs, "batch_size": 64, "validation_data": test, "verbose": 0}
    wrong = one_model(RATES, train, **fit)
    right = kcore.sweep(build, {"learning_rate": RATES}, train, **fit)

    last = {rate: wrong[rate].history["val_loss"][-1] for rate in RATES}
    print(f"one model object: {max(last, key=last.get)} looks worse, {min(last, key=last.get)} better")
    best = right.best("val_loss").params["learning_rate"]
    print(f"fresh models:     {best} is better")
    for run in right:
        print(f"  {run.label}: accuracy {run.history.history['val_accuracy'][-1]:.1%}")
    if options.picture:
        kcore.compare_runs(
            {
                f"{RATES[0]:g}": right[0].history,
                f"{RATES[1]:g}, fresh model": right[1].history,
                f"{RATES[1]:g}, same model": wrong[RATES[1]],
            },
            "val_loss",
            options.picture,
            title="validation loss of two learning rates",
            log_scale=True,
        )
    return {
        "wrong": last,
        "right": {run.params["learning_rate"]: run.history.history["val_loss"][-1] for run in right},
        "best": best,
    }


if __name__ == "__main__":
    main()
