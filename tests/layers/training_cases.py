"""Small models, three steps of SGD each; run by itself it prints what Keras makes of them.

    KERAS_BACKEND=jax python tests/layers/training_cases.py > tests/layers/training_values.json

with Keras 3.15.1 and JAX made the file beside it.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

#: Name -> (shape of a batch, layers as (class, arguments, keywords)); random layers are left out.
CASES: dict[str, tuple[tuple[int, ...], list[tuple[str, tuple, dict[str, Any]]]]] = {
    "leaky_relu": ((3, 4), [("Dense", (5,), {}), ("LeakyReLU", (0.2,), {})]),
    "elu": ((3, 4), [("Dense", (5,), {}), ("ELU", (0.7,), {})]),
    "prelu": ((2, 3, 4), [("Dense", (5,), {}), ("PReLU", (), {"shared_axes": [1]})]),
    "permute": ((2, 3, 4), [("Dense", (5,), {}), ("Permute", ((2, 1),), {}), ("Dense", (2,), {})]),
    "repeat_vector": ((3, 4), [("Dense", (5,), {}), ("RepeatVector", (3,), {}), ("Dense", (2,), {})]),
    "zero_padding": ((2, 3, 4, 2), [("Dense", (3,), {}), ("ZeroPadding2D", (((1, 0), (0, 2)),), {})]),
    "cropping": ((2, 5, 4, 2), [("Dense", (3,), {}), ("Cropping2D", (((1, 0), (0, 2)),), {})]),
    "up_sampling": ((2, 2, 3, 2), [("Dense", (3,), {}), ("UpSampling2D", ((2, 3),), {})]),
    "bilinear": ((2, 2, 3, 2), [("Dense", (3,), {}), ("UpSampling2D", (2,), {"interpolation": "bilinear"})]),
    "bicubic": ((2, 2, 3, 2), [("Dense", (3,), {}), ("UpSampling2D", (2,), {"interpolation": "bicubic"})]),
    "conv2d_transpose": (
        (2, 3, 4, 2),
        [("Conv2DTranspose", (3, 3), {"strides": 2, "padding": "same"}), ("Conv2DTranspose", (2, 2), {})],
    ),
    "conv1d_transpose": ((2, 4, 2), [("Conv1DTranspose", (3, 2), {"strides": 3, "output_padding": 1})]),
    "depthwise_conv2d": ((2, 5, 4, 3), [("DepthwiseConv2D", (2,), {"depth_multiplier": 2, "activation": "tanh"})]),
    "separable_conv2d": ((2, 5, 4, 3), [("SeparableConv2D", (2, 2), {"strides": 2, "padding": "same"})]),
    "separable_conv1d": ((2, 5, 3), [("SeparableConv1D", (2, 2), {"depth_multiplier": 2})]),
    "adaptive_average": ((2, 5, 7, 2), [("Dense", (3,), {}), ("AdaptiveAveragePooling2D", (3,), {})]),
    "adaptive_max": ((2, 5, 7, 2), [("Dense", (3,), {}), ("AdaptiveMaxPooling2D", (3,), {})]),
    "average_pooling3d": ((1, 4, 4, 4, 2), [("Dense", (3,), {}), ("AveragePooling3D", (2,), {"padding": "same"})]),
    "group_normalization": ((2, 3, 4), [("Dense", (6,), {}), ("GroupNormalization", (3,), {})]),
    "unit_normalization": ((3, 4), [("Dense", (5,), {}), ("UnitNormalization", (), {})]),
    "rms_normalization": ((3, 4), [("Dense", (5,), {}), ("RMSNormalization", (), {})]),
    "activity_regularization": ((3, 4), [("Dense", (5,), {}), ("ActivityRegularization", (), {"l1": 0.1, "l2": 0.2})]),
    "rescaling": ((3, 4), [("Rescaling", (0.5, 0.1), {}), ("Dense", (5,), {})]),
    "dot": ((2, 3, 4), [("Dense", (5,), {}), ("Dot", ((1, 1),), {"normalize": True})]),
    "attention": ((2, 3, 4), [("Dense", (5,), {}), ("Attention", (), {"use_scale": True})]),
    "concat_attention": ((2, 3, 4), [("Dense", (5,), {}), ("Attention", (), {"score_mode": "concat"})]),
    "additive_attention": ((2, 3, 4), [("Dense", (5,), {}), ("AdditiveAttention", (), {})]),
    "group_query_attention": ((2, 3, 4), [("Dense", (5,), {}), ("GroupQueryAttention", (3, 4, 2), {"use_gate": True})]),
}

#: Layers that take a list of inputs, or two inputs; both get the same tensor.
LISTS, PAIRS = {"Dot", "Attention", "AdditiveAttention"}, {"GroupQueryAttention"}


def wave(shape: tuple[int, ...], phase: float) -> np.ndarray:
    """Data that needs no random stream."""
    return np.sin(np.arange(math.prod(shape)) * 1.7 + phase).astype("float32").reshape(shape)


def train(keras: Any, name: str) -> dict[str, list[float]]:
    """Losses of three steps, and all weights after them."""
    shape, stack = CASES[name]
    inputs = x = keras.layers.Input(shape[1:])
    for kind, args, kwargs in stack:
        layer = getattr(keras.layers, kind)(*args, **kwargs)
        x = layer([x, x]) if kind in LISTS else layer(x, x) if kind in PAIRS else layer(x)
    model = keras.Model(inputs, x)
    model.set_weights([0.5 * wave(tuple(w.shape), i) for i, w in enumerate(model.get_weights())])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    data, targets = wave(shape, 0.3), wave((shape[0], *x.shape[1:]), 0.9)
    losses = [float(np.asarray(model.train_on_batch(data, targets, return_dict=True)["loss"])) for _ in range(3)]
    weights = np.concatenate([np.ravel(w) for w in model.get_weights()])
    return {"losses": np.round(losses, 6).tolist(), "weights": np.round(weights.astype("float64"), 6).tolist()}


if __name__ == "__main__":
    import keras as reference

    lines = [f"{json.dumps(name)}: {json.dumps(train(reference, name))}" for name in CASES]
    print("{\n" + ",\n".join(lines) + "\n}")
