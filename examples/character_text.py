"""Write Python, one character at a time: a stateful LSTM that reads source code of the standard library.

The text is cut into parallel streams; batch i + 1 goes on where batch i ended, and so does the state of the LSTM. Give
any text with ``--text FILE``.
"""

import argparse
import inspect
import textwrap

import numpy as np

import kcore as keras

layers = keras.layers

STREAMS, STEPS = 32, 40


def build(characters, batch, steps, stateful):
    """(batch, steps) character numbers -> (batch, steps, characters) logits."""
    return keras.Sequential(
        [
            keras.Input(batch_shape=(batch, steps), dtype="int32"),
            layers.Embedding(characters, 32),
            layers.LSTM(128, return_sequences=True, stateful=stateful),
            layers.Dense(characters),
        ]
    )


class FreshState(keras.callbacks.Callback):
    """Forgets the text at the start of an epoch, which begins at the start of the text again."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def on_epoch_begin(self, epoch, logs=None):
        self.layer.reset_states()


def write(model, layer, start, letters, length, temperature, draw):
    """Text that goes on from `start`: a character drawn from what the model expects, given back to it, and so on."""
    layer.reset_states()
    number = {letter: i for i, letter in enumerate(letters)}
    text = start
    for letter in start[:-1]:
        model.predict_on_batch(np.array([[number[letter]]], "int32"))
    for _ in range(length):
        logits = np.asarray(model.predict_on_batch(np.array([[number[text[-1]]]], "int32")))[0, 0] / temperature
        chances = np.exp(logits - logits.max())
        text += letters[draw.choice(len(letters), p=chances / chances.sum())]
    return text


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=35)
    parser.add_argument("--text", help="a text file to learn from")
    parser.add_argument("--length", type=int, default=240, help="characters to write")
    options = parser.parse_args(argv)

    keras.utils.set_random_seed(1)
    if options.text:
        with open(options.text, encoding="utf-8") as file:
            text = file.read()
    else:
        text = inspect.getsource(textwrap)
    letters = sorted(set(text))
    number = {letter: i for i, letter in enumerate(letters)}
    codes = np.array([number[letter] for letter in text], "int32")

    # stream s of every batch is one stretch of the text: x[i] and x[i + STREAMS] are neighbours in it
    batches = (len(codes) - 1) // (STREAMS * STEPS)
    used = STREAMS * STEPS * batches
    x = codes[:used].reshape(STREAMS, batches, STEPS).transpose(1, 0, 2).reshape(-1, STEPS)
    y = codes[1 : used + 1].reshape(STREAMS, batches, STEPS).transpose(1, 0, 2).reshape(-1, STEPS)

    model = build(len(letters), STREAMS, STEPS, stateful=True)
    model.compile(
        keras.optimizers.Adam(0.005, clipnorm=1.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    history = model.fit(
        x,
        y,
        batch_size=STREAMS,
        epochs=options.epochs,
        shuffle=False,
        callbacks=[FreshState(model.layers[1])],
        verbose=2,
    )

    # the same weights for one stream and one step
    writer = build(len(letters), 1, 1, stateful=True)
    writer.set_weights(model.get_weights())
    start = "def " if all(letter in number for letter in "def ") else text[:4]
    written = write(writer, writer.layers[1], start, letters, options.length, 0.7, np.random.default_rng(0))
    losses = history.history["loss"]
    print(
        f"{len(text)} characters, {len(letters)} kinds; loss {losses[0]:.2f} -> {losses[-1]:.2f} "
        f"(guessing blindly: {np.log(len(letters)):.2f})\n{'-' * 60}\n{written}\n{'-' * 60}"
    )
    return {"loss": losses, "text": written}


if __name__ == "__main__":
    main()
