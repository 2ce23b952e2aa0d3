"""Find urgent letters: words, numbers and a category as three inputs by name; the rare class counts for more.

One letter in twelve is urgent. Without class weights the model may be right by never saying so.
"""

import argparse

import numpy as np

import kcore as keras

layers = keras.layers

WORDS, LENGTH, SENDERS = 200, 20, 8


def letters(count, seed):
    """Inputs by name, and whether each letter is urgent: int32 (count,)."""
    draw = np.random.default_rng(seed)
    words = draw.integers(1, WORDS, size=(count, LENGTH)).astype("int32")
    words *= np.arange(LENGTH) < draw.integers(5, LENGTH + 1, size=(count, 1))  # 0 is padding
    numbers = draw.normal(size=(count, 3)).astype(
        "float32"
    )  # age of the account, open bills, days since the last letter
    sender = draw.integers(0, SENDERS, size=(count, 1)).astype("int32")
    alarm = (words > 0) & (words < 12)
    score = 1.6 * alarm.sum(axis=1) + 1.2 * numbers[:, 1] + 1.5 * (sender[:, 0] == 3) + 0.5 * draw.normal(size=count)
    return {"words": words, "numbers": numbers, "sender": sender}, (score > 3.5).astype("int32")


def build():
    """A functional model with inputs called words, numbers and sender, and one probability as output."""
    words = keras.Input((LENGTH,), dtype="int32", name="words")
    numbers = keras.Input((3,), name="numbers")
    sender = keras.Input((1,), dtype="int32", name="sender")
    bag = layers.GlobalAveragePooling1D()(layers.Embedding(WORDS, 16, mask_zero=True)(words))
    kind = layers.Flatten()(layers.Embedding(SENDERS, 4)(sender))
    joined = layers.Concatenate()([bag, layers.BatchNormalization()(numbers), kind])
    hidden = layers.Dropout(0.2)(layers.Dense(32, activation="relu")(joined))
    urgent = layers.Dense(1, activation="sigmoid", name="urgent")(hidden)
    return keras.Model({"words": words, "numbers": numbers, "sender": sender}, urgent)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--samples", type=int, default=6000)
    options = parser.parse_args(argv)

    x, y = letters(options.samples, seed=0)
    x_test, y_test = letters(2000, seed=1)
    share = float(y.mean())
    weights = {0: 0.5 / (1 - share), 1: 0.5 / share}  # both classes together count alike
    found = {}
    for name, class_weight in (("plain", None), ("class weights", weights)):
        keras.utils.set_random_seed(1)
        model = build()
        model.compile(
            keras.optimizers.Adam(0.005),
            "binary_crossentropy",
            metrics=[keras.metrics.Precision(name="precision"), keras.metrics.Recall(name="recall")],
        )
        model.fit(x, y, batch_size=128, epochs=options.epochs, class_weight=class_weight, verbose=0)
        results = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
        found[name] = {key: float(value) for key, value in results.items()}
        print(
            f"{name:>14}: of {int(y_test.sum())} urgent letters {results['recall']:.0%} found; "
            f"{results['precision']:.0%} of what it calls urgent is"
        )
    return found


if __name__ == "__main__":
    main()
