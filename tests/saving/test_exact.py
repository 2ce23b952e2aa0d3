"""Saved, loaded and gone on with is the same, bit for bit, as never stopped."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import kcore
from kcore import layers, optimizers
from kcore.saving import load_model, save_model

X = np.random.default_rng(0).normal(size=(24, 6)).astype("float32")
Y = (X.sum(1, keepdims=True) > 0).astype("float32")

OPTIMIZERS = {
    "SGD momentum": lambda o: o.SGD(0.05, momentum=0.9, nesterov=True),
    "Adam with a schedule": lambda o: o.Adam(o.schedules.ExponentialDecay(0.01, 2, 0.7), amsgrad=True),
    "RMSprop": lambda o: o.RMSprop(0.01, momentum=0.5, centered=True),
    "AdamW, averaged and accumulated": lambda o: o.AdamW(
        0.01, use_ema=True, ema_overwrite_frequency=3, gradient_accumulation_steps=2
    ),
    "Nadam": lambda o: o.Nadam(0.01),
}


def build(dtype=None):
    return kcore.Sequential(
        [
            kcore.Input((6,)),
            layers.Dense(8, activation="relu", dtype=dtype, name="first"),
            layers.BatchNormalization(dtype=dtype),
            layers.Dropout(0.5, dtype=dtype),
            layers.Dense(1, activation="sigmoid", dtype=dtype),
        ]
    )


def everything(model):
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


def same(a, b):
    for one, other in zip(a, b, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def halves(model, path, x=X, y=Y, **options):
    """The model after training, stopping, saving and going on; and the loaded one after going on."""
    options = {"batch_size": 8, "shuffle": False, "verbose": 0, **options}
    model.fit(x, y, epochs=2, **options)
    save_model(model, path, include_states=True)
    model.fit(x, y, epochs=2, **options)
    kcore.set_random_seed(77)
    other = load_model(path)
    other.fit(x, y, epochs=2, **options)
    return model, other


@pytest.mark.parametrize("form", ["keras", "h5"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_going_on_is_never_having_stopped(form, optimizer, tmp_path):
    model = build()
    model.compile(OPTIMIZERS[optimizer](optimizers), "binary_crossentropy")
    model, other = halves(model, tmp_path / f"a.{form}")
    same(everything(model), everything(other))


@pytest.mark.parametrize("form", ["keras", "h5"])
@pytest.mark.parametrize("optimizer", ["SGD momentum", "Nadam"])
def test_mixed_precision_goes_on_with_its_loss_scale(form, optimizer, tmp_path):
    before = kcore.dtype_policies.dtype_policy()
    kcore.config.set_dtype_policy("mixed_float16")
    try:
        model = build()
        inner = OPTIMIZERS[optimizer](optimizers)
        model.compile(optimizers.LossScaleOptimizer(inner, dynamic_growth_steps=3), "binary_crossentropy")
        model, other = halves(model, tmp_path / f"a.{form}")
    finally:
        kcore.config.set_dtype_policy(before)
    assert [layer.compute_dtype for layer in other.layers] == ["float16"] * 4
    assert float(other.optimizer.dynamic_scale.numpy()) != 2**15
    same(everything(model), everything(other))


@pytest.mark.parametrize("form", ["keras", "h5"])
def test_loss_scaling_by_the_policy_goes_on_where_the_policy_is_another(form, tmp_path):
    """`compile` puts a `LossScaleOptimizer` around "adam" for the sake of a policy that no file of Keras holds."""
    before = kcore.dtype_policies.dtype_policy()
    kcore.config.set_dtype_policy("mixed_float16")
    try:
        model = build()
        model.compile("adam", "binary_crossentropy")
    finally:
        kcore.config.set_dtype_policy(before)
    assert hasattr(model.optimizer, "inner_optimizer")
    model, other = halves(model, tmp_path / f"a.{form}")
    assert type(other.optimizer) is type(model.optimizer)
    same(everything(model), everything(other))


@pytest.mark.parametrize("form", ["keras", "h5"])
def test_states_of_recurrent_layers_go_on(form, tmp_path):
    model = kcore.Sequential([kcore.Input(batch_shape=(8, 3, 2)), layers.GRU(3, stateful=True), layers.Dense(1)])
    model.compile("adam", "mse")
    model, other = halves(model, tmp_path / f"a.{form}", X.reshape(24, 3, 2))
    same(everything(model), everything(other))
    np.testing.assert_array_equal(model.layers[0].states[0].numpy(), other.layers[0].states[0].numpy())


def test_keras_2_and_3_do_not_look_at_what_is_ours(tmp_path):
    model = build()
    model.compile("adam", "binary_crossentropy")
    model.fit(X, Y, verbose=0)
    for form in ("keras", "h5"):
        save_model(model, tmp_path / f"a.{form}")
        theirs = keras.saving.load_model(tmp_path / f"a.{form}")
        np.testing.assert_allclose(theirs.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-5)
        if form == "keras":  # from HDF5, Keras 3 never reads the optimizer's state of a Sequential
            for mine, other in zip(model.optimizer.variables, theirs.optimizer.variables, strict=True):
                np.testing.assert_array_equal(mine.numpy(), np.asarray(other))


@pytest.mark.parametrize("policy", ["bfloat16", "float64", "mixed_bfloat16", "mixed_float16", "float16"])
def test_dtypes_are_kept_both_ways(policy, tmp_path):
    model = kcore.Sequential([kcore.Input((6,)), layers.Dense(3, dtype=policy, name="first")])
    model.save(tmp_path / "ours.keras")
    theirs = keras.saving.load_model(tmp_path / "ours.keras")
    assert theirs.layers[0].dtype_policy.name == policy
    same([w.numpy() for w in model.weights], [np.asarray(w.value) for w in theirs.weights])
    theirs.save(tmp_path / "theirs.keras")
    other = load_model(tmp_path / "theirs.keras")
    assert other.layers[0].dtype_policy.name == policy
    same([w.numpy() for w in model.weights], [w.numpy() for w in other.weights])


@pytest.mark.parametrize("form", ["a.keras", "a.h5", "a.weights.h5", "a.weights.json"])
def test_bfloat16_comes_back(form, tmp_path):
    model, other = (kcore.Sequential([kcore.Input((6,)), layers.Dense(3, dtype="bfloat16")]) for _ in range(2))
    if "weights" in form:
        model.save_weights(tmp_path / form)
        other.load_weights(tmp_path / form)
    else:
        model.save(tmp_path / form)
        other = load_model(tmp_path / form)
    same([w.numpy() for w in model.weights], [w.numpy() for w in other.weights])
    assert other.weights[0].dtype == "bfloat16"


@pytest.mark.parametrize("form", ["keras", "h5"])
def test_a_model_moves_to_another_device_by_its_file_and_back(form, tmp_path):
    options = {"verbose": 0, "batch_size": 8, "shuffle": False}
    before = kcore.backend.current()
    model = build()
    model.compile(OPTIMIZERS["Adam with a schedule"](optimizers), "binary_crossentropy")
    model.fit(X, Y, **options)
    model.save(tmp_path / f"a.{form}")
    try:
        kcore.use_backend("opencl:intel")
    except kcore.errors.BackendNotFoundError:
        pytest.skip("no OpenCL device of Intel's answers")
    try:
        other = load_model(tmp_path / f"a.{form}")
        other.fit(X, Y, **options)
        there = [v.numpy() for v in other.variables]
        other.save(tmp_path / f"b.{form}")
    finally:
        kcore.use_backend(str(before))
    model.fit(X, Y, **options)
    back = load_model(tmp_path / f"b.{form}")
    same([v.numpy() for v in back.variables], there)
    for mine, theirs in zip(model.variables, back.variables, strict=True):
        np.testing.assert_allclose(theirs.numpy(), mine.numpy(), rtol=1e-3, atol=1e-5)
    for one in (model, back):
        one.fit(X, Y, **options)
    assert int(back.optimizer.iterations) == int(model.optimizer.iterations) == 9
    for mine, theirs in zip(everything(model), everything(back), strict=True):
        np.testing.assert_allclose(theirs, mine, rtol=1e-3, atol=1e-5)
