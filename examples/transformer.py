"""Check brackets with a transformer block: is every bracket closed by its own kind, in the right order?

A layer of one's own out of attention, normalization and two dense layers, positions by an embedding, padding as a mask.
"""

import argparse

import numpy as np

import kcore as keras

layers, ops = keras.layers, keras.ops

PAIRS = ["()", "[]", "{}"]
LENGTH = 10


class Positions(layers.Layer):
    """Adds an embedding of the place to an embedding of the symbol; 0 is padding."""

    def __init__(self, symbols, length, width, **kwargs):
        super().__init__(**kwargs)
        self.symbol = layers.Embedding(symbols, width, mask_zero=True)
        self.place = layers.Embedding(length, width)

    def call(self, inputs):
        return self.symbol(inputs) + self.place(ops.arange(ops.shape(inputs)[1]))

    def compute_mask(self, inputs, mask=None):
        return self.symbol.compute_mask(inputs)


class Block(layers.Layer):
    """x + attention(norm(x)), then x + dense(norm(x))."""

    def __init__(self, width, heads, hidden, rate=0.0, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.attention = layers.MultiHeadAttention(heads, width // heads)
        self.norm_1, self.norm_2 = layers.LayerNormalization(), layers.LayerNormalization()
        self.feed = keras.Sequential([layers.Dense(hidden, activation="gelu"), layers.Dense(width)])
        self.drop = layers.Dropout(rate)

    def call(self, inputs, training=None):
        normed = self.norm_1(inputs)
        x = inputs + self.drop(self.attention(normed, normed), training=training)
        return x + self.drop(self.feed(self.norm_2(x)), training=training)


def balanced(text):
    """Whether every bracket is closed by its own kind, in the right order."""
    open_ones = []
    for symbol in text:
        if symbol in "([{":
            open_ones.append(symbol)
        elif not open_ones or open_ones.pop() + symbol not in PAIRS:
            return False
    return not open_ones


def brackets(count, seed):
    """Numbers (count, LENGTH) of bracket texts, and whether each is balanced."""
    draw = np.random.default_rng(seed)
    number = {symbol: 1 + i for i, symbol in enumerate("".join(PAIRS))}
    x, y = np.zeros((count, LENGTH), "int32"), np.zeros(count, "int32")
    for row in range(count):
        stack, text = [], []
        length = 2 * int(draw.integers(2, LENGTH // 2 + 1))
        while len(text) < length:
            if stack and (len(stack) == length - len(text) or draw.random() < 0.5):
                text.append(stack.pop()[1])
            else:
                stack.append(PAIRS[draw.integers(3)])
                text.append(stack[-1][0])
        if row % 2:  # the same symbols in another order, which is hardly ever balanced
            draw.shuffle(text)
        y[row] = balanced(text)
        x[row, :length] = [number[symbol] for symbol in text]
    return x, y


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--samples", type=int, default=5000)
    options = parser.parse_args(argv)

    keras.utils.set_random_seed(1)
    x, y = brackets(options.samples, seed=0)
    x_test, y_test = brackets(1000, seed=1)
    inputs = keras.Input((LENGTH,), dtype="int32")
    hidden = Positions(7, LENGTH, 32)(inputs)
    hidden = Block(32, 4, 64)(hidden)
    hidden = Block(32, 4, 64)(hidden)
    outputs = layers.Dense(1, activation="sigmoid")(layers.GlobalAveragePooling1D()(hidden))
    model = keras.Model(inputs, outputs)
    steps = -(-len(x) // 64) * options.epochs
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=0.003, warmup_steps=steps // 10)
    model.compile(keras.optimizers.AdamW(rate), "binary_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=64, epochs=options.epochs, verbose=2)

    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"accuracy on {len(y_test)} new texts: {accuracy:.1%}")
    number = {symbol: 1 + i for i, symbol in enumerate("".join(PAIRS))}
    for text in ("([]{})", "([)]", "((()))[]", "((())"):
        row = np.zeros((1, LENGTH), "int32")
        row[0, : len(text)] = [number[symbol] for symbol in text]
        print(f"  {float(model.predict(row, verbose=0)[0, 0]):.2f} balanced: {text}")
    return {"loss": loss, "accuracy": accuracy}


if __name__ == "__main__":
    main()
