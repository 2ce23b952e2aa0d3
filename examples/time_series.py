"""Forecast a day ahead: windows of an hourly series, a GRU, and the forecast "as today" that it has to beat."""

import argparse

import numpy as np

import kcore as keras

layers = keras.layers

PAST, AHEAD = 72, 24


def weather(hours, seed=0):
    """Temperatures with a day, a year, and weather fronts that last some days: float32 (hours,)."""
    draw = np.random.default_rng(seed)
    time = np.arange(hours)
    front = np.zeros(hours)
    for hour in range(1, hours):
        front[hour] = 0.96 * front[hour - 1] + draw.normal()
    series = 10 - 9 * np.cos(time * 2 * np.pi / 8766) - 4 * np.cos(time * 2 * np.pi / 24) + front
    return (series + 0.3 * draw.normal(size=hours)).astype("float32")


def windows(series, first, last, **options):
    """Batches of (past, value AHEAD hours later) for the hours from `first` to `last`."""
    part = series[first:last]
    return keras.utils.timeseries_dataset_from_array(
        part[:-AHEAD, None],
        part[PAST + AHEAD - 1 :],
        sequence_length=PAST,
        **options,
    )


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--hours", type=int, default=20000)
    options = parser.parse_args(argv)

    keras.utils.set_random_seed(1)
    series = weather(options.hours)
    split, end = int(options.hours * 0.7), int(options.hours * 0.85)
    mean, spread = series[:split].mean(), series[:split].std()
    scaled = (series - mean) / spread
    train = windows(scaled, 0, split, shuffle=True, seed=1, sequence_stride=2, batch_size=64)
    valid = windows(scaled, split, end, batch_size=256)
    test = windows(scaled, end, options.hours, batch_size=256)

    model = keras.Sequential(
        [
            keras.Input((PAST, 1)),
            layers.Conv1D(16, 6, strides=3, activation="relu"),
            layers.GRU(24),
            layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(0.003), loss="mse", metrics=["mae"])
    model.fit(train, epochs=options.epochs, validation_data=valid, verbose=2)

    ours = model.evaluate(test, verbose=0, return_dict=True)["mae"] * spread
    naive = np.abs(series[end + AHEAD :] - series[end : options.hours - AHEAD]).mean()
    print(f"mean error a day ahead: GRU {ours:.2f} degrees, 'tomorrow as today' {naive:.2f} degrees")
    return {"gru": float(ours), "naive": float(naive)}


if __name__ == "__main__":
    main()
