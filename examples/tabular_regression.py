"""Predict a number from a table: columns normalized by NumPy, a small network against a straight line.

The progress of diabetes from ten measurements, which scikit-learn carries; with ``--houses``, prices of Californian
houses, which are downloaded.
"""

import argparse

import numpy as np
from sklearn.datasets import load_diabetes

import kcore as keras

layers = keras.layers


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--houses", action="store_true", help="prices of houses instead of diabetes (a download)")
    options = parser.parse_args(argv)

    keras.utils.set_random_seed(3)
    if options.houses:
        (x, y), (x_test, y_test) = keras.datasets.california_housing.load_data()
    else:
        table = load_diabetes(scaled=False)
        order = np.random.default_rng(0).permutation(len(table.target))
        x, y = table.data[order].astype("float32"), table.target[order].astype("float32")
        x, x_test, y, y_test = x[:-90], x[-90:], y[:-90], y[-90:]

    # what is learned from the training rows is applied to all: the test rows must not tell their mean
    mean, spread = x.mean(axis=0), x.std(axis=0)
    x, x_test = (x - mean) / spread, (x_test - mean) / spread
    centre, scale = y.mean(), y.std()

    model = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            layers.Dense(32, activation="relu", kernel_regularizer=keras.regularizers.L2(1e-3)),
            layers.Dense(16, activation="relu", kernel_regularizer=keras.regularizers.L2(1e-3)),
            layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(0.002), loss="huber", metrics=["mae", keras.metrics.R2Score(name="r2")])
    stop = keras.callbacks.EarlyStopping(patience=20, restore_best_weights=True)
    model.fit(x, (y - centre) / scale, epochs=options.epochs, validation_split=0.2, callbacks=[stop], verbose=0)
    results = model.evaluate(x_test, (y_test - centre) / scale, verbose=0, return_dict=True)

    line, *_ = np.linalg.lstsq(np.c_[x, np.ones(len(x))], y, rcond=None)
    straight = float(np.abs(np.c_[x_test, np.ones(len(x_test))] @ line - y_test).mean())
    network = float(results["mae"] * scale)
    print(
        f"mean absolute error on {len(y_test)} rows: network {network:,.1f}, straight line {straight:,.1f}, "
        f"always the mean {float(np.abs(y_test - centre).mean()):,.1f}; R2 of the network {results['r2']:.2f}"
    )
    for row in range(3):
        guess = float(model.predict(x_test[row : row + 1], verbose=0)[0, 0]) * scale + centre
        print(f"  row {row}: predicted {guess:,.0f}, measured {y_test[row]:,.0f}")
    return {"mae": network, "line": straight, "r2": results["r2"]}


if __name__ == "__main__":
    main()
