"""Small recurrent models trained the same way with Keras or kcore; run as a script it prints what Keras ends at.

KERAS_BACKEND=jax python tests/layers/record_recurrent.py
"""

from __future__ import annotations

from typing import Any

import numpy as np


def _sequence(layer: Any) -> Any:
    return lambda k: [layer(k), k.layers.Dense(2)]


MODELS = {
    "simple_rnn": _sequence(lambda k: k.layers.SimpleRNN(3)),
    "gru": _sequence(lambda k: k.layers.GRU(3, return_sequences=True)),
    "gru_reset_before": _sequence(lambda k: k.layers.GRU(3, reset_after=False, go_backwards=True)),
    "lstm": _sequence(lambda k: k.layers.LSTM(3, return_sequences=True, go_backwards=True)),
    "stacked": _sequence(lambda k: k.layers.RNN([k.layers.GRUCell(3), k.layers.LSTMCell(2)])),
    "bidirectional_gru": _sequence(lambda k: k.layers.Bidirectional(k.layers.GRU(3, return_sequences=True))),
    "bidirectional_lstm": _sequence(lambda k: k.layers.Bidirectional(k.layers.LSTM(3), merge_mode="mul")),
    "time_distributed": _sequence(lambda k: k.layers.TimeDistributed(k.layers.Dense(3, activation="tanh"))),
    "conv_lstm": lambda k: [
        k.layers.Reshape((5, 4, 1)),
        k.layers.ConvLSTM1D(2, 3, padding="same"),
        k.layers.Flatten(),
        k.layers.Dense(2),
    ],
}


def train(k: Any, name: str) -> list[np.ndarray]:
    """Weights after three steps of SGD on masked sequences."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 5, 4)).astype("float32")
    x[1, 3:], x[2, :2], x[4, 2] = 0, 0, 0
    first = [] if name == "conv_lstm" else [k.layers.Masking()]
    model = k.Sequential([k.Input((5, 4)), *first, *MODELS[name](k)])
    y = rng.normal(size=(6, *model.output_shape[1:])).astype("float32")
    model.set_weights([rng.uniform(-0.6, 0.6, w.shape).astype("float32") for w in model.weights])
    model.compile(k.optimizers.SGD(0.5), "mse")
    for start in (0, 2, 4):
        model.train_on_batch(x[start : start + 2], y[start : start + 2])
    return [np.asarray(w) for w in model.get_weights()]


def fingerprint(weights: list[np.ndarray]) -> list[float]:
    """Three numbers per weight: its sum, the sum of its squares, and its last element."""
    return [round(float(v), 6) for w in weights for v in (w.sum(), (w**2).sum(), w.ravel()[-1])]


if __name__ == "__main__":
    import keras

    for name in MODELS:
        print(f'    "{name}": {fingerprint(train(keras, name))},')
