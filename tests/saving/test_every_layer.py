"""Every layer kcore has: Keras loads it from our file and we load it from Keras's, with the same outputs."""

from __future__ import annotations

import inspect
import json
import warnings

import keras
import numpy as np
import pytest

import kcore
from kcore import layers

SEQUENCE, IMAGE, VOLUME, FLAT = (6, 4), (6, 6, 4), (4, 4, 4, 2), (4,)

#: Layer -> shape of its input (several: a list) and arguments.
CASES = {
    "Dense": (FLAT, (3,)),
    "EinsumDense": (FLAT, ("ab,bc->ac", 3)),
    "Embedding": ("tokens", (9, 3)),
    "ReversibleEmbedding": ("tokens", (9, 3)),
    "Activation": (FLAT, ("relu",)),
    "Permute": (SEQUENCE, ((2, 1),)),
    "Reshape": (SEQUENCE, ((8, 3),)),
    "RepeatVector": (FLAT, (3,)),
    "Rescaling": (FLAT, (0.5,)),
    **{f"Conv{n}D{t}": ([SEQUENCE, IMAGE, VOLUME][n - 1], (3, 2)) for n in (1, 2, 3) for t in ("", "Transpose")},
    **{f"{kind}Conv{n}D": ([SEQUENCE, IMAGE][n - 1], a) for n in (1, 2) for kind, a in (("Separable", (3, 2)),)},
    **{f"DepthwiseConv{n}D": ([SEQUENCE, IMAGE][n - 1], (2,)) for n in (1, 2)},
    **{f"ConvLSTM{n}D": ((2, *[SEQUENCE, IMAGE, VOLUME][n - 1]), (3, 2)) for n in (1, 2, 3)},
    **{
        f"Adaptive{k}Pooling{n}D": ([SEQUENCE, IMAGE, VOLUME][n - 1], (2,))
        for n in (1, 2, 3)
        for k in ("Average", "Max")
    },
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN"), (SEQUENCE, (3,))),
    **dict.fromkeys(
        ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"), ([FLAT, FLAT], ())
    ),
    "Dot": ([FLAT, FLAT], (1,)),
    **dict.fromkeys(("Attention", "AdditiveAttention"), ([SEQUENCE, SEQUENCE], ())),
    "MultiHeadAttention": ("pair", (2, 2)),
    "GroupQueryAttention": ("pair", (2, 2, 1)),
    "GroupNormalization": (IMAGE, (2,)),
    **dict.fromkeys(("Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise"), (FLAT, (0.5,))),
    **{f"SpatialDropout{n}D": ([SEQUENCE, IMAGE, VOLUME][n - 1], (0.5,)) for n in (1, 2, 3)},
    "Bidirectional": (SEQUENCE, ("LSTM",)),
    "TimeDistributed": (SEQUENCE, ("Dense",)),
    "SpectralNormalization": (FLAT, ("Dense",)),
    "RNN": (SEQUENCE, ("cells",)),
    "CategoryEncoding": ("tokens", (9, "count")),
    "Discretization": (FLAT, ([0.0, 1.0],)),
    **{
        name: ((8, 8, 3), args)
        for name, args in {
            **dict.fromkeys(("Resizing", "CenterCrop"), (4, 4)),
            **dict.fromkeys(("RandomFlip", "RandomPerspective", "RandomElasticTransform", "RandomColorJitter"), ()),
            **dict.fromkeys(("RandomGrayscale", "RandomInvert", "RandomErasing", "RandomGaussianBlur", "MixUp"), ()),
            **dict.fromkeys(("CutMix", "RandAugment", "AugMix", "AutoContrast", "Solarization"), ()),
            **dict.fromkeys(("RandomRotation", "RandomZoom", "RandomShear", "RandomBrightness", "RandomHue"), (0.2,)),
            **dict.fromkeys(("RandomContrast", "RandomColorDegeneration", "RandomSaturation"), (0.2,)),
            "RandomSharpness": (0.2,),
            "RandomPosterization": (4,),
            "RandomTranslation": (0.2, 0.2),
            "ContrastLimitedAdaptiveHistogramEqualization": (),
            "MaxNumBoundingBoxes": (2,),
        }.items()
    },
    "MelSpectrogram": ((512,), (128, 64, None, "hann", 16000, 20, 20.0, None, False)),
    "STFTSpectrogram": ((64, 2), ("log", 16)),
    "Flatten": (IMAGE, ()),
    "Softmax": (FLAT, ()),
}

#: Parts of other layers, or what there is no file of.
ELSEWHERE = {"Layer", "InputLayer", "Wrapper", "Lambda", "BaseConv", "KernelLayer", "Merge"}
ELSEWHERE |= {"LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells"}  # inside RNN
ELSEWHERE |= {"StringLookup", "TextVectorization", "Hashing", "HashedCrossing"}  # are no part of a model
ELSEWHERE |= {"Pipeline", "RandomCrop"}  # tests/layers/preprocessing/test_images.py
ELSEWHERE |= {"Equalization"}  # Keras cannot put it into a functional model
ELSEWHERE |= {"IntegerLookup"}  # Keras needs TensorFlow for it


def names():
    found = {}
    for name in layers.__all__:
        cls = getattr(layers, name)
        if inspect.isclass(cls) and issubclass(cls, layers.Layer) and name not in ELSEWHERE:
            found.setdefault(cls, name if name in CASES else cls.__name__)
    return sorted(found.values())


def case(name):
    if name in CASES:
        return CASES[name]
    for ending, shape in (("1D", SEQUENCE), ("2D", IMAGE), ("3D", VOLUME)):
        if name.endswith(ending):
            return shape, ()
    return FLAT if name != "Masking" else SEQUENCE, ()


def build(name):
    shape, args = case(name)
    made = {
        "LSTM": lambda: layers.LSTM(3),
        "Dense": lambda: layers.Dense(3),
        "cells": lambda: [layers.LSTMCell(3), layers.GRUCell(2), layers.SimpleRNNCell(3)],
    }
    if name in ("Bidirectional", "TimeDistributed", "SpectralNormalization", "RNN"):
        args = tuple(made[arg]() for arg in args)
    layer = getattr(layers, name)(*args, name="it")
    if shape == "tokens":
        inputs = [kcore.Input((5,), dtype="int32")]
    else:
        shapes = [SEQUENCE, SEQUENCE] if shape == "pair" else shape if isinstance(shape, list) else [shape]
        inputs = [kcore.Input(s) for s in shapes]
    outputs = layer(*inputs) if shape == "pair" else layer(inputs if len(inputs) > 1 else inputs[0])
    model = kcore.Model(inputs, outputs)
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 0.5, w.shape).astype("float32") for w in model.weights])
    return model


def data(model):
    rng = np.random.default_rng(1)
    return [
        rng.integers(0, 9, (2, *x.shape[1:])).astype("int32")
        if "int" in x.dtype
        else rng.normal(size=(2, *x.shape[1:])).astype("float32")
        for x in model.inputs
    ]


@pytest.mark.parametrize("name", names())
def test_there_and_back(name, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model = build(name)
        x = data(model)
        expected = np.asarray(model(x, training=False))
        model.save(tmp_path / "ours.keras")
        theirs = keras.saving.load_model(tmp_path / "ours.keras")
        assert type(theirs.get_layer("it")).__name__ == getattr(layers, name).__name__
        np.testing.assert_allclose(np.asarray(theirs(x, training=False)), expected, rtol=1e-4, atol=1e-5)
        theirs.save(tmp_path / "theirs.keras")
        ours = kcore.models.load_model(tmp_path / "theirs.keras")
        configs = [json.loads(json.dumps(m.get_layer("it").get_config())) for m in (ours, model)]
        assert configs[0] == configs[1]
        np.testing.assert_array_equal(np.asarray(ours(x, training=False)), expected)
