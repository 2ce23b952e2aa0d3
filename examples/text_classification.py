"""Tell good reviews from bad ones: word numbers, an embedding, and a bidirectional LSTM that knows what was padded.

The reviews are made by a small grammar in which "not" turns a word round, so that counting words is not enough.
"""

import argparse

import numpy as np

import kcore as keras

layers = keras.layers

GOOD = "wonderful moving clever funny brilliant fresh".split()
BAD = "boring clumsy stale shallow dreadful noisy".split()
THINGS = "plot cast music ending camera script dialogue pace".split()
FILLERS = "really somehow mostly perhaps clearly always".split()


def reviews(count, seed):
    """Sentences and what their writer thinks: 1 good, 0 bad."""
    draw = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(count):
        likes = int(draw.integers(2))
        parts = []
        for _ in range(int(draw.integers(1, 5))):
            turned = draw.random() < 0.4
            words = GOOD if bool(likes) != turned else BAD
            filler = [draw.choice(FILLERS)] if draw.random() < 0.5 else []
            parts.append(
                " ".join(["the", draw.choice(THINGS), "was", *(["not"] if turned else []), *filler, draw.choice(words)])
            )
        texts.append(" and ".join(parts))
        labels.append(likes)
    return texts, np.array(labels, "int32")


def numbers(texts, vocabulary, length):
    """Word numbers (texts, length) int32; 0 is padding, 1 a word that is not known."""
    rows = [[vocabulary.get(word, 1) for word in text.split()] for text in texts]
    return keras.utils.pad_sequences(rows, maxlen=length, padding="post", truncating="post")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--samples", type=int, default=2000)
    options = parser.parse_args(argv)

    keras.utils.set_random_seed(1)
    texts, y = reviews(options.samples, seed=0)
    texts_test, y_test = reviews(400, seed=1)
    vocabulary = {word: 2 + i for i, word in enumerate(sorted({w for text in texts for w in text.split()}))}
    length = max(len(text.split()) for text in texts)
    x, x_test = numbers(texts, vocabulary, length), numbers(texts_test, vocabulary, length)

    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(len(vocabulary) + 2, 24, mask_zero=True),
            layers.Bidirectional(layers.LSTM(24)),
            layers.Dropout(0.3),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy", keras.metrics.AUC(name="auc")]
    )
    model.fit(x, y, batch_size=64, epochs=options.epochs, validation_split=0.1, verbose=2)

    results = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    print(
        f"on {len(y_test)} new reviews: {results['accuracy']:.1%} right, area under the ROC curve {results['auc']:.3f}"
    )
    for text in ("the plot was clever", "the plot was not clever", "the music was not boring and the cast was fresh"):
        score = float(model.predict(numbers([text], vocabulary, length), verbose=0)[0, 0])
        print(f"  {score:.2f} good: {text}")
    return results


if __name__ == "__main__":
    main()
