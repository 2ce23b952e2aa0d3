"""Draw digits that nobody wrote: a variational autoencoder with a sampling layer and a loss of its own.

The loss has two parts: how well a picture is drawn again, which `compute_loss` says, and how far its code is from a
normal distribution, which the sampling layer adds.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits

import kcore as keras

layers, ops = keras.layers, keras.ops

INK = " .:-=+*#%@"
CODE = 6


class Sampling(layers.Layer):
    """mean + exp(log_variance / 2) * noise; adds the Kullback-Leibler divergence from N(0, 1) to the loss."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(7)

    def call(self, inputs):
        mean, log_variance = inputs
        divergence = -0.5 * ops.sum(1 + log_variance - ops.square(mean) - ops.exp(log_variance), axis=-1)
        self.add_loss(ops.mean(divergence))
        return mean + ops.exp(0.5 * log_variance) * keras.random.normal(ops.shape(mean), seed=self.seed_generator)


class VAE(keras.Model):
    """Encoder, sampling and decoder of pictures (64,)."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(128, activation="relu")
        self.mean, self.log_variance = layers.Dense(CODE), layers.Dense(CODE)
        self.sampling = Sampling()
        self.decoder = keras.Sequential(
            [layers.Dense(128, activation="relu"), layers.Dense(64, activation="sigmoid")], name="decoder"
        )

    def call(self, inputs):
        hidden = self.hidden(inputs)
        return self.decoder(self.sampling((self.mean(hidden), self.log_variance(hidden))))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        drawn = 64 * ops.mean(keras.losses.binary_crossentropy(x, y_pred))
        return drawn + sum(self.losses)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=60)
    options = parser.parse_args(argv)

    keras.utils.set_random_seed(1)
    pictures = (load_digits().data / 16).astype("float32")
    pictures = pictures[np.random.default_rng(0).permutation(len(pictures))]
    model = VAE()
    model.compile(keras.optimizers.Adam(0.002))
    history = model.fit(pictures, batch_size=64, epochs=options.epochs, verbose=0)

    codes = np.random.default_rng(3).normal(size=(5, CODE)).astype("float32")
    drawn = np.clip(model.decoder.predict(codes, verbose=0).reshape(-1, 8, 8), 0, 1)
    for row in range(8):
        print("   ".join("".join(INK[int(round(float(v) * 9))] * 2 for v in picture[row]) for picture in drawn))
    losses = history.history["loss"]
    print(f"loss per picture: {losses[0]:.1f} -> {losses[-1]:.1f}")
    return {"loss": losses}


if __name__ == "__main__":
    main()
