"""Dtype policies: names, the global one, one per layer, maps by path; casts of inputs and variables as in Keras."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

import kcore
from kcore import config, dtype_policies, layers, ops

POLICIES = ["float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16"]


def ones(*shape):
    return np.ones(shape, "float32")


@pytest.fixture
def global_policy():
    yield config.set_dtype_policy
    config.set_dtype_policy(None)


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_keras_s(name):
    ours, theirs = dtype_policies.get(name), keras.dtype_policies.get(name)
    assert (ours.name, ours.compute_dtype, ours.variable_dtype) == (
        theirs.name,
        theirs.compute_dtype,
        theirs.variable_dtype,
    )
    assert dtype_policies.serialize(ours) == keras.dtype_policies.serialize(theirs)
    assert dtype_policies.deserialize(keras.dtype_policies.serialize(theirs)) == ours
    assert repr(ours) == repr(theirs) and dtype_policies.FloatDTypePolicy(name) == ours


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("mixed_float6", "there is no dtype policy 'mixed_float6'.*did you mean 'mixed_float16'"),
        ("half", "there is no dtype policy 'half'; a dtype, or one of mixed_float16, mixed_bfloat16"),
        ("int8_from_float32", "quantized policies are not supported"),
        (3.5, "expected the name of a dtype policy, a dtype or a DTypePolicy, got 3.5"),
    ],
)
def test_a_wrong_policy_is_refused(identifier, message):
    with pytest.raises(ValueError, match=message):
        layers.Dense(1, dtype=identifier)
    with pytest.raises(ValueError, match=message):
        config.set_dtype_policy(identifier)


def test_the_global_policy_is_that_of_new_layers(global_policy):
    before = layers.Dense(1)
    global_policy("mixed_bfloat16")
    assert config.dtype_policy().name == "mixed_bfloat16"
    after = layers.Dense(1)
    assert (before.compute_dtype, after.compute_dtype, after.variable_dtype) == ("float32", "bfloat16", "float32")
    assert layers.Dense(1, dtype="float64").compute_dtype == "float64"


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("name", "shape", "arguments"),
    [
        ("Dense", (2, 4), {"units": 3}),
        ("EinsumDense", (2, 4), {"equation": "ab,bc->ac", "output_shape": 3}),
        ("Conv2D", (2, 5, 5, 2), {"filters": 2, "kernel_size": 3}),
        ("LSTM", (2, 3, 4), {"units": 3, "recurrent_initializer": "glorot_uniform"}),
        ("BatchNormalization", (2, 4), {}),
        ("LayerNormalization", (2, 4), {}),
        ("Embedding", (2, 3), {"input_dim": 3, "output_dim": 2}),
    ],
)
def test_layers_compute_in_the_policy_s_dtype(name, shape, arguments, policy):
    ours, theirs = (getattr(lib, name)(**arguments, dtype=policy) for lib in (layers, keras.layers))
    x = np.random.default_rng(0).uniform(0, 2, shape).astype("int32" if name == "Embedding" else "float32")
    ours.build(shape)
    theirs.build(shape)
    theirs.set_weights([np.asarray(w.numpy()) for w in ours.weights])
    got, expected = ours(x), theirs(x)
    assert got.dtype == ours.compute_dtype
    assert {w.dtype for w in ours.weights} == {w.dtype for w in theirs.weights} == {ours.variable_dtype}
    assert ours(layers.Input(shape[1:], dtype=x.dtype.name)).dtype == ours.compute_dtype
    rough = {"float16": 4e-3, "bfloat16": 4e-2}.get(ours.compute_dtype, 1e-5)
    np.testing.assert_allclose(
        got.numpy().astype("float64"), np.asarray(expected).astype("float64"), rtol=rough, atol=rough
    )


def test_a_mixed_policy_reads_variables_in_the_compute_dtype_in_all_modes():
    seen = []

    class Scale(layers.Layer):
        def build(self, shape):
            self.factor = self.add_weight((), "ones", name="factor")
            self.kept = self.add_weight((), "ones", autocast=False, name="kept")
            self.count = self.add_weight((), "zeros", dtype="int32", trainable=False, name="count")

        def call(self, x):
            seen.append(
                (self.factor.value.dtype, ops.square(self.factor).dtype, self.kept.value.dtype, self.count.value.dtype)
            )
            return x * self.factor

    layer = Scale(dtype="mixed_float16")
    layer(layers.Input((2,)))
    layer(ones(1, 2))
    kcore.function(layer)(ones(1, 2))
    assert set(seen) == {("float16", "float16", "float32", "int32")}
    assert layer.factor.value.dtype == "float32"


def test_gradients_reach_variables_in_their_own_dtype():
    layer = layers.Dense(2, dtype="mixed_float16")
    with kcore.GradientTape() as tape:
        loss = ops.sum(layer(ones(3, 4)))
    assert loss.dtype == "float16"
    gradients = tape.gradient(loss, layer.trainable_variables)
    assert [g.dtype for g in gradients] == ["float32", "float32"]
    np.testing.assert_array_equal(gradients[0].numpy(), np.full((4, 2), 3.0))


def test_updating_a_variable_inside_a_call_keeps_its_precision():
    class Counter(layers.Layer):
        def build(self, shape):
            self.total = self.add_weight((), "zeros", trainable=False, name="total")

        def call(self, x):
            self.total.assign_add(1.0)
            return x

    layer = Counter(dtype="mixed_float16")
    layer.build((1, 1))
    layer.total.assign(4096.0)  # in float16 the next number is 4100
    layer(ones(1, 1))
    assert float(layer.total) == 4097.0


def test_an_inner_layer_s_policy_goes_before_the_outer_one_s():
    class Outer(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.precise = layers.Dense(2, dtype="float32")
            self.quick = layers.Dense(2)

        def call(self, x):
            return self.precise(x), self.quick(x)

    outer = Outer(dtype="mixed_bfloat16")
    precise, quick = outer(ones(1, 3) / 3)
    assert (precise.dtype, quick.dtype) == ("float32", "float32")
    kernel = outer.precise.kernel.numpy()
    third = np.asarray(ops.cast(ops.cast(ones(1, 3) / 3, "bfloat16"), "float32"))
    np.testing.assert_allclose(precise.numpy(), third @ kernel, rtol=1e-6)


def test_a_model_s_loss_is_float32_and_its_outputs_are_not(global_policy):
    global_policy("mixed_bfloat16")
    model = kcore.Sequential([layers.Input((3,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    assert model(ones(1, 3)).dtype == "bfloat16"
    assert model.compute_loss(None, ones(1, 2), model(ones(1, 3))).dtype == "float32"


def test_a_map_gives_inner_layers_their_policies_by_path_and_is_saved_as_by_keras():
    def build(lib, room):
        policies = room.DTypePolicyMap("float32", {".*/query": room.DTypePolicy("mixed_bfloat16")})
        return lib.MultiHeadAttention(2, 4, dtype=policies, name="attention")

    ours, theirs = build(layers, dtype_policies), build(keras.layers, keras.dtype_policies)
    ours(ones(1, 3, 8), ones(1, 3, 8))
    assert {x.name: x.compute_dtype for x in ours._flatten_layers() if x.weights and x is not ours} == {
        "query": "bfloat16", "key": "float32", "value": "float32", "attention_output": "float32"
    }  # fmt: skip
    assert ours.get_config()["dtype"] == theirs.get_config()["dtype"]
    again = layers.MultiHeadAttention.from_config(json.loads(json.dumps(theirs.get_config())))
    assert again.dtype_policy == ours.dtype_policy


def test_a_map_looks_up_paths_as_keras_does():
    for room in (dtype_policies, keras.dtype_policies):
        policies = room.DTypePolicyMap("float32")
        policies["encoder/dense"] = "bfloat16"
        policies["encoder/.*"] = "float16"
        assert [policies[k].name for k in ("encoder/dense", "encoder/x", "encoder", "decoder/x")] == [
            "bfloat16", "float16", "float32", "float32"
        ]  # fmt: skip
        assert (
            len(policies) == 2 and list(policies) == ["encoder/dense", "encoder/.*"] and policies.name == "map_float32"
        )
        with pytest.raises(ValueError, match="already"):
            policies["encoder/.*"] = "float32"
        policies["encoder/a.*"] = "float32"
        with pytest.raises(ValueError, match="encoder/att.*(several|multiple)"):
            policies["encoder/att"]
        with pytest.raises(ValueError, match="map|Map"):
            room.DTypePolicyMap(policies)
        with pytest.raises(TypeError, match="must be a dict"):
            room.DTypePolicyMap(None, [1])
