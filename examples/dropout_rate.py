"""What reading the rate of `Dropout` as the share that is kept costs: four hidden layers of 256, rate 0.7 against 0.3.

`Dropout(rate)` drops the share `rate` of its inputs. Whoever wants to keep 70 % writes 0.3.
"""

from __future__ import annotations

import argparse

import pictures

import kcore
from kcore import layers


def build(rate):
    """Pixels -> 10 probabilities, through four hidden layers of 256, each with dropout behind it; compiled."""
    model = kcore.Sequential()
    for _ in range(4):
        model.add(layers.Dense(256, activation="relu"))
        model.add(layers.Dropout(rate))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3, help="runs per rate")
    parser.add_argument("--data", default="digits", help="digits, mnist, or an .npz file")
    parser.add_argument("--picture", help="file for the comparison as a picture")
    options = parser.parse_args(argv)

    train, test = pictures.load(options.data)
    runs, accuracies = {}, {}
    for seed in range(options.seeds):
        sweep = kcore.sweep(
            build,
            {"rate": [0.3, 0.7]},
            train,
            seed=seed,
            epochs=options.epochs,
            batch_size=100,
            validation_data=test,
            keep_models=False,
            verbose=0,
        )
        for run in sweep:
            runs.setdefault(run.label, run.history)
            accuracies.setdefault(run.params["rate"], []).append(run.history.history["val_accuracy"][-1])
    means = {rate: sum(values) / len(values) for rate, values in accuracies.items()}
    for rate, values in accuracies.items():
        shown = ", ".join(f"{value:.2%}" for value in values)
        print(f"rate {rate} (keeps {1 - rate:.0%}): accuracy {means[rate]:.2%} after {options.epochs} epochs ({shown})")
    print(f"writing 0.7 where 0.3 was meant costs {100 * (means[0.3] - means[0.7]):.2f} points of accuracy")
    if options.picture:
        kcore.compare_runs(
            {name.replace("=", " "): run for name, run in runs.items()},
            "val_accuracy",
            options.picture,
            title="test accuracy of two dropout rates",
        )
    return means


if __name__ == "__main__":
    main()
