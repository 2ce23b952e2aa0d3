"""Comparing a layer with Keras's own: the same configuration, the same weights, the same data."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest

from kcore import layers
from kcore.tree import flatten, map_structure

keras = pytest.importorskip("keras")


def plain(config: Any) -> Any:
    """A configuration as it looks in a file, without the layer's automatic name."""
    return json.loads(json.dumps({k: v for k, v in config.items() if k != "name"}))


def values(x: Any) -> Any:
    """The arrays of a structure of tensors."""
    return [None if t is None else np.asarray(t) for t in flatten(x)]


def array(shape: tuple[int, ...], seed: int = 0, dtype: str = "float32", low: int = 0, high: int = 5) -> np.ndarray:
    """Deterministic data."""
    rng = np.random.default_rng(seed)
    return rng.integers(low, high, shape).astype(dtype) if "int" in dtype else rng.normal(size=shape).astype(dtype)


def pair(name: str, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """Keras's layer and kcore's, of one configuration; configurations are compared, and each reads the other's."""
    theirs = getattr(keras.layers, name)(*args, **kwargs)
    mine = getattr(layers, name)(*args, **kwargs)
    assert plain(mine.get_config()) == plain(theirs.get_config()), f"{name}: the configuration is not that of Keras"
    written = [json.loads(json.dumps(module.serialize(x))) for module, x in ((keras.layers, theirs), (layers, mine))]
    for config in written:
        for again in (layers.deserialize(config), keras.layers.deserialize(config)):
            assert plain(again.get_config()) == plain(mine.get_config()), f"{name}: {config} gives another layer"
    return theirs, mine


def build_alike(theirs: Any, mine: Any, *inputs: Any, **kwargs: Any) -> None:
    """Build both by a call, and give both the same random weights."""
    theirs(*inputs, **kwargs)
    mine(*inputs, **kwargs)
    shapes = [tuple(w.shape) for w in theirs.weights]
    assert [tuple(w.shape) for w in mine.weights] == shapes
    assert [w.name for w in mine.weights] == [w.name for w in theirs.weights]
    assert [w.path.split("/")[1:] for w in mine.weights] == [w.path.split("/")[1:] for w in theirs.weights]
    rng = np.random.default_rng(1)
    weights = [rng.uniform(0.2, 0.8, shape).astype("float32") for shape in shapes]
    theirs.set_weights(weights)
    mine.set_weights(weights)


def same(
    name: str, inputs: Any, *args: Any, call: dict[str, Any] | None = None, tolerance: float = 2e-5, **kwargs: Any
) -> Any:
    """Both layers of one configuration give the same outputs, shapes and new weights."""
    call = call or {}
    theirs, mine = pair(name, *args, **kwargs)
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        build_alike(theirs, mine, *inputs)
        expected, got = theirs(*inputs, **call), mine(*inputs, **call)
    for a, b in zip(values(expected), values(got), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance, err_msg=f"{name}{args}{kwargs}{call}")
    for a, b in zip(theirs.weights, mine.weights, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=tolerance, atol=tolerance, err_msg=f"{name}: {a.name}")
    symbolic = map_structure(lambda x: layers.Input(batch_shape=(None, *x.shape[1:]), dtype=str(x.dtype)), inputs)
    outputs = type(mine).from_config(mine.get_config())(*symbolic, **{k: v for k, v in call.items() if k != "mask"})
    for a, b in zip(values(expected), flatten(outputs), strict=True):
        assert b.shape == (None, *a.shape[1:]), f"{name}: symbolic shape {b.shape}, values {a.shape}"
        assert b.dtype == a.dtype
    return mine
