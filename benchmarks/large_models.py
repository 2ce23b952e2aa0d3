"""ResNet-50 and a transformer encoder, written once against the Keras 3 API: for kcore and for Keras on its engines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def resnet50(k: Any, size: int = 224, classes: int = 1000, width: int = 64, units: Sequence[int] = (3, 4, 6, 3)) -> Any:
    """ResNet-50 v1.5 (He et al. 2015, the stride in the middle convolution), compiled with SGD and momentum.

    Args:
        k: kcore or keras.
        size: pixels of a side.
        classes: classes.
        width: filters of the first stage.
        units: residual units of each stage.
    """
    L = k.layers

    def conv(x: Any, filters: int, window: int, strides: int = 1) -> Any:
        x = L.Conv2D(filters, window, strides=strides, padding="same", use_bias=False)(x)
        return L.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)

    def unit(x: Any, filters: int, strides: int) -> Any:
        h = L.ReLU()(conv(x, filters, 1))
        h = L.ReLU()(conv(h, filters, 3, strides))
        h = conv(h, 4 * filters, 1)
        if strides != 1 or x.shape[-1] != 4 * filters:
            x = conv(x, 4 * filters, 1, strides)
        return L.ReLU()(L.Add()([h, x]))

    image = k.Input((size, size, 3))
    x = L.ReLU()(conv(image, width, 7, 2))
    x = L.MaxPooling2D(3, strides=2, padding="same")(x)
    for stage, count in enumerate(units):
        for i in range(count):
            x = unit(x, width << stage, 2 if stage and not i else 1)
    x = L.GlobalAveragePooling2D()(x)
    model = k.Model(image, L.Activation("softmax", dtype="float32")(L.Dense(classes)(x)))
    model.compile(k.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    return model


def encoder(k: Any, depth: int = 12, width: int = 768, heads: int = 12, tokens: int = 512, words: int = 30522) -> Any:
    """A transformer encoder of BERT's size with layer normalization before each part, compiled with Adam.

    Args:
        k: kcore or keras.
        depth: blocks.
        width: features of a token.
        heads: heads of the attention.
        tokens: tokens of an example.
        words: size of the vocabulary.
    """
    L = k.layers
    inputs = k.Input((tokens,), dtype="int32")
    x = L.Embedding(words, width)(inputs)
    for _ in range(depth):
        h = L.LayerNormalization(epsilon=1e-6)(x)
        x = L.Add()([x, L.MultiHeadAttention(heads, width // heads)(h, h)])
        h = L.Dense(4 * width, activation="gelu")(L.LayerNormalization(epsilon=1e-6)(x))
        x = L.Add()([x, L.Dense(width)(h)])
    x = L.GlobalAveragePooling1D()(L.LayerNormalization(epsilon=1e-6)(x))
    model = k.Model(inputs, L.Activation("softmax", dtype="float32")(L.Dense(2)(x)))
    model.compile(k.optimizers.Adam(1e-4), "sparse_categorical_crossentropy")
    return model
