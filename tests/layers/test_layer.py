"""The base class: subclasses of users, state, masks, modes, configuration, and the messages of errors."""

from __future__ import annotations

import json

import numpy as np
import pytest

import kcore
from kcore import layers, metrics, ops, registry
from kcore.declare import argument, positive_int
from kcore.layers import Layer
from kcore.naming import reset_names
from kcore.runtime import GradientTape, KerasTensor, SeedGenerator, Variable, function

ONES = np.ones((2, 3), "float32")


class Linear(Layer):
    """As a Keras user writes it."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="ones", name="w")
        self.b = self.add_weight(shape=(self.units,), initializer="zeros", trainable=False, name="b")

    def call(self, inputs, training=None):
        y = ops.matmul(inputs, self.w) + self.b
        return y * 2 if training else y

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Block(Layer):
    """Layers in an attribute, a list and a dict, made in __init__ and built by calling."""

    def __init__(self, depth=2, **kwargs):
        super().__init__(**kwargs)
        self.first = Linear(4)
        self.rest = [Linear(4) for _ in range(depth)]
        self.named = {"last": Linear(1)}

    def call(self, inputs, training=None):
        x = self.first(inputs)
        for layer in self.rest:
            x = layer(x)
        return self.named["last"](x)


def test_a_layer_of_the_user_is_built_at_its_first_call():
    layer = Linear(4)
    assert not layer.built and layer.weights == []
    assert layer(ONES).numpy().tolist() == [[3.0] * 4] * 2
    assert [w.path for w in layer.weights] == ["linear/w", "linear/b"]
    assert layer.trainable_weights == [layer.w] and layer.non_trainable_weights == [layer.b]
    assert layer.count_params() == 16
    assert layer.get_build_config() == {"input_shape": (2, 3)}
    assert repr(layer) == "<Linear name=linear, built=True>"


def test_inner_layers_are_found_in_attributes_lists_and_dicts_and_their_paths_follow_the_nesting():
    block = Block(name="block")
    block(ONES)
    assert [w.path for w in block.weights if w.name == "w"] == [
        "block/linear/w",
        "block/linear_1/w",
        "block/linear_2/w",
        "block/linear_3/w",
    ]
    block.rest[0].trainable = False
    assert len(block.trainable_weights) == 3
    block.trainable = False
    assert block.trainable_weights == [] and len(block.non_trainable_weights) == 8
    assert not block.first.trainable
    block.trainable = True
    assert len(block.trainable_weights) == 4, "weights made with trainable=False stay so"


def test_attributes_count_in_the_order_they_are_set_and_only_once():
    class Two(Layer):
        def __init__(self):
            super().__init__()
            self.b = None
            self.a = Linear(1, name="a")
            self.b = Linear(1, name="b")
            self.again = self.a
            self.seed = SeedGenerator(1)
            self.mean = metrics.Mean()
            self.free = Variable([1.0], name="free")

        def call(self, x):
            return self.b(self.a(x))

    two = Two()
    two(ONES)
    assert [layer.name for layer in two._layers] == ["a", "b"]
    assert [w.name for w in two.weights] == ["free", "w", "b", "w", "b"]
    assert any(v is two.seed.state for v in two.variables) and all(w is not two.seed.state for w in two.weights)
    assert two.metrics == [two.mean] and len(two.metrics_variables) == 2


def test_state_cannot_be_added_to_a_layer_that_is_built():
    layer = Linear(2)
    layer(ONES)
    with pytest.raises(ValueError, match=r"layer 'linear' \(Linear\) is built, so weight 'late' cannot be added"):
        layer.add_weight((1,), name="late")
    with pytest.raises(ValueError, match="linear 'late' cannot be added"):
        layer.inner = Linear(1, name="late")
    layer.note = "plain attributes can"


def test_super_init_must_come_first():
    class Forgetful(Layer):
        def __init__(self):
            self.units = 3

    with pytest.raises(RuntimeError, match=r"layer Forgetful: call super\(\).__init__\(\) first"):
        Forgetful()(ONES)


def test_automatic_names_are_those_of_keras():
    reset_names()
    names = [layers.ReLU().name, layers.MaxPooling2D().name, layers.Conv2D(1, 1).name, layers.Conv2D(1, 1).name]
    assert names == ["re_lu", "max_pooling2d", "conv2d", "conv2d_1"]
    reset_names()
    assert layers.Conv2D(1, 1).name == "conv2d"


# -- training, masks, losses ---------------------------------------------------------------------------------------


def test_training_is_inherited_by_inner_layers_unless_it_is_given():
    class Outer(Layer):
        def __init__(self):
            super().__init__()
            self.inner = Linear(1)

        def call(self, x, frozen=False):
            return self.inner(x, training=False) if frozen else self.inner(x)

    outer = Outer()
    assert float(outer(ONES, training=True)[0, 0]) == 6.0
    assert float(outer(ONES)[0, 0]) == 3.0
    assert float(outer(ONES, training=True, frozen=True)[0, 0]) == 3.0


class UseMask(Layer):
    supports_masking = True

    def call(self, inputs, mask=None):
        self.seen = mask
        return inputs


def test_masks_travel_with_tensors():
    x = layers.Embedding(5, 3, mask_zero=True)(np.array([[1, 2, 0]]))
    assert x._keras_mask.numpy().tolist() == [[True, True, False]]
    user = UseMask()
    y = layers.Dropout(0.5)(user(layers.Dense(2)(x)))
    assert user.seen.numpy().tolist() == [[True, True, False]]
    assert y._keras_mask.numpy().tolist() == [[True, True, False]]
    last = layers.LSTM(2)(y)
    assert last._keras_mask is None, "an LSTM that returns its last output has consumed the mask"
    assert layers.LSTM(2, return_sequences=True)(y)._keras_mask is not None
    with pytest.warns(UserWarning, match="'flatten' .Flatten. got an input with a mask and does not support masking"):
        layers.Flatten()(y)


def test_attention_leaves_the_mask_of_its_input_in_place():
    x = layers.Embedding(5, 8, mask_zero=True)(np.array([[1, 2, 0]]))
    attended = layers.MultiHeadAttention(2, 4)(x, x)
    assert layers.Add()([x, attended])._keras_mask.numpy().tolist() == [[True, True, False]]


def test_masks_travel_with_symbolic_tensors_too():
    x = layers.Embedding(5, 3, mask_zero=True)(layers.Input((4,), dtype="int32"))
    assert isinstance(x._keras_mask, KerasTensor) and x._keras_mask.shape == (None, 4)
    total = layers.Add()([x, layers.Dense(3)(x)])
    assert total._keras_mask.shape == (None, 4)
    assert layers.GlobalAveragePooling1D()(total)._keras_mask is None


def test_losses_are_those_of_the_last_call():
    class Penalized(Linear):
        def call(self, inputs):
            self.add_loss(ops.sum(inputs))
            return super().call(inputs)

    layer = Penalized(2, activity_regularizer="l2")
    layer(ONES)
    layer(ONES)
    assert [float(loss) for loss in layer.losses] == [6.0, pytest.approx(0.01 * 36 / 2)]
    dense = layers.Dense(2, kernel_initializer="ones", kernel_regularizer=kcore.regularizers.L2(0.5))
    dense(ONES)
    assert [float(loss) for loss in dense.losses] == [3.0]
    dense.trainable = False
    assert dense.losses == []


# -- modes ---------------------------------------------------------------------------------------------------------


def test_a_layer_runs_eagerly_traced_and_symbolically_alike():
    layer = Block()
    eager = layer(ONES).numpy()
    traced = function(lambda x: layer(x))
    assert np.array_equal(traced(ONES).numpy(), eager)
    x = layers.Input((3,))
    y = layer(x)
    assert y.shape == (None, 1) and y.dtype == "float32"
    assert y.record.operation is layer and y.record.args == (x,) and y.record.outputs is y
    assert layer.input is x and layer.output is y
    assert all(not inner._records for inner in (layer.first, *layer.rest)), "inner calls are no nodes of the model"


def test_a_layer_can_be_built_within_a_trace():
    layer = Linear(4)
    step = function(lambda x: layer(x))
    assert step(ONES).numpy().tolist() == [[3.0] * 4] * 2
    assert layer.w.numpy().shape == (3, 4)


def test_gradients_reach_the_weights():
    layer = layers.Dense(2, kernel_initializer="ones")
    layer.build((None, 3))

    def gradients(x):
        with GradientTape() as tape:
            loss = ops.sum(layer(x) ** 2)
        return tape.gradient(loss, layer.trainable_weights)

    for run in (gradients, function(gradients)):
        kernel, bias = run(ONES)
        assert kernel.numpy().tolist() == [[12.0, 12.0]] * 3
        assert bias.numpy().tolist() == [12.0, 12.0]


def test_shapes_are_inferred_even_where_call_calculates_with_sizes():
    class Halves(Layer):
        def call(self, x):
            batch, n = ops.shape(x)
            return ops.reshape(x, (batch * 2, n // 2))

    assert Halves()(layers.Input((6,))).shape == (None, 3)


def test_compute_output_shape_of_the_user_is_taken():
    class Odd(Layer):
        def call(self, x):
            raise AssertionError("not called for shapes")

        def compute_output_shape(self, input_shape):
            return (*input_shape, 7)

    assert Odd()(layers.Input((6,))).shape == (None, 6, 7)


def test_a_symbolic_call_changes_no_state():
    class Count(Layer):
        def __init__(self):
            super().__init__()
            self.total = self.add_weight((), "zeros", trainable=False, name="total")

        def call(self, x):
            self.total.assign_add(ops.sum(x))
            self.total.assign(self.total + 1)
            return x

    count = Count()
    count(layers.Input((3,)))
    assert float(count.total) == 0.0
    count(ONES)
    assert float(count.total) == 7.0


def test_several_inputs_and_outputs():
    class Swap(Layer):
        def build(self, left_shape, right_shape):
            self.shapes = left_shape, right_shape

        def call(self, left, right):
            return {"a": right, "b": left}

    swap = Swap()
    out = swap(ONES, right=np.zeros((2, 5), "float32"))
    assert swap.shapes == ((2, 3), (2, 5)) and out["a"].shape == (2, 5)
    assert swap.get_build_config() == {"shapes_dict": {"left_shape": (2, 3), "right_shape": (2, 5)}}
    symbolic = swap(layers.Input((3,)), right=layers.Input((5,)))
    assert symbolic["a"].shape == (None, 5) and symbolic["a"].record is symbolic["b"].record


# -- dtypes --------------------------------------------------------------------------------------------------------


def test_floats_are_cast_to_the_compute_dtype_and_integers_are_left():
    layer = layers.Dense(2, dtype="float64")
    assert layer(ONES).dtype == "float64" and layer.kernel.dtype == "float64"
    seen = {}

    class See(Layer):
        def call(self, x):
            seen["dtype"] = x.dtype
            return x

    See()(np.ones((2,), "float64"))
    assert seen["dtype"] == "float32"
    See()(np.ones((2,), "int64"))
    assert seen["dtype"] == "int64"
    See(autocast=False)(np.ones((2,), "float64"))
    assert seen["dtype"] == "float64"


def test_dtype_policies():
    from kcore import dtype_policies

    assert dtype_policies.get("mixed_float16").variable_dtype == "float32"
    dtype_policies.set_dtype_policy("float64")
    try:
        assert layers.Dense(1).compute_dtype == "float64"
    finally:
        dtype_policies.set_dtype_policy(None)
    with pytest.raises(ValueError, match="there is no dtype policy 'float33'"):
        layers.Dense(1, dtype="float33")


# -- configuration -------------------------------------------------------------------------------------------------


def test_a_layer_with_get_config_of_its_own_goes_round():
    layer = Linear(4, name="mine", trainable=False)
    again = Linear.from_config(layer.get_config())
    assert (again.units, again.name, again.trainable) == (4, "mine", False)


def test_a_layer_without_get_config_gets_what_its_init_was_called_with():
    class Scale(Layer):
        def __init__(self, factor, offset=1.0, **kwargs):
            super().__init__(**kwargs)
            self.f = factor

    layer = Scale(3.0, name="s")
    config = layer.get_config()
    assert config["factor"] == 3.0 and config["offset"] == 1.0 and config["name"] == "s"
    assert Scale.from_config(config).f == 3.0


def test_declared_arguments_are_checked_kept_and_shown():
    class Repeat(Layer):
        times: int = argument(2, positive_int)
        activation: object = argument(None, kcore.activations)

        def call(self, x):
            return self.activation(ops.repeat(x, self.times, axis=-1))

    layer = Repeat(3, activation="relu")
    assert layer(ONES).shape == (2, 9)
    assert layer.get_config()["times"] == 3 and layer.get_config()["activation"] == "relu"
    with pytest.raises(ValueError, match="Repeat: argument times=0: expected a positive integer"):
        Repeat(0)
    with pytest.raises(ValueError, match="Repeat has no argument 'tims'; did you mean 'times'"):
        Repeat(tims=3)


def test_registered_layers_are_found_by_name_and_unknown_ones_named():
    @registry.register_serializable("tests")
    class Mine(Linear):
        pass

    described = json.loads(json.dumps(layers.serialize(Mine(3))))
    assert described["registered_name"] == "tests>Mine"
    assert isinstance(layers.deserialize(described), Mine)
    with pytest.raises(TypeError, match="there is no 'Dens' in keras.layers; did you mean 'Dense'"):
        layers.deserialize({"class_name": "Dens", "config": {}})
    other = {"class_name": "Other", "config": Mine(2).get_config(), "module": "a.b", "registered_name": "x>Other"}
    assert isinstance(layers.deserialize(other, custom_objects={"Other": Mine}), Mine)


def test_two_packages_with_one_name_are_an_error():
    class Same(Linear):
        pass

    class Same2(Linear):
        pass

    Same.__module__, Same2.__module__ = "pack_one.layers", "pack_two.layers"
    registry.register_serializable("clash", "Same")(Same)
    with pytest.raises(ValueError, match=r"two packages register 'clash>Same': pack_one .* and pack_two"):
        registry.register_serializable("clash", "Same")(Same2)


def test_functions_and_lambdas_as_activations():
    def triple(x):
        return x * 3

    config = layers.Dense(1, activation=triple).get_config()["activation"]
    assert config == {"module": "builtins", "class_name": "function", "config": "triple", "registered_name": "function"}
    with registry.custom_object_scope({"triple": triple}):
        assert layers.Dense(1, activation=config).activation is triple
    with pytest.raises(TypeError, match="cannot serialize a lambda"):
        layers.Dense(1, activation=lambda x: x).get_config()


# -- errors --------------------------------------------------------------------------------------------------------


def test_wrong_feature_size_names_the_layer_and_both_sizes():
    layer = layers.Dense(2, name="head")
    layer(ONES)
    with pytest.raises(
        ValueError, match=r"layer 'head' \(Dense\): the input has shape \(2, 4\).*expected size 3 along axis -1, got 4"
    ):
        layer(np.ones((2, 4), "float32"))


def test_wrong_rank_names_the_layer_and_both_ranks():
    with pytest.raises(
        ValueError, match=r"layer 'conv2d' \(Conv2D\): the input has shape \(2, 3\).*expected rank 4, got rank 2"
    ):
        layers.Conv2D(1, 1)(ONES)
    with pytest.raises(ValueError, match="expected a rank of at least 2, got rank 1"):
        layers.Dense(1)(np.ones((3,), "float32"))


def test_a_layer_called_before_its_shape_is_known():
    with pytest.raises(ValueError, match=r"layer 'dense' \(Dense\): weight 'kernel' would have the shape \(None, 2\)"):
        layers.Dense(2)(layers.Input((None,)))
    layer = layers.Dense(2)
    with pytest.raises(AttributeError, match="no attribute 'kernel'; it is not built yet"):
        layer.kernel  # noqa: B018
    with pytest.raises(ValueError, match="is not built, so its parameters cannot be counted"):
        layer.count_params()


def test_strings_where_tensors_belong():
    with pytest.raises(ValueError, match=r"layer 'dense' \(Dense\): only tensors may be given by position, got 'abc'"):
        layers.Dense(1)("abc")


def test_an_error_inside_call_says_in_which_layer_and_what_came():
    class Broken(Layer):
        def call(self, x):
            return ops.matmul(x, np.ones((5, 5), "float32"))

    with pytest.raises(ValueError, match="") as caught:
        Broken(name="broken")(ONES)
    assert str(caught.value).endswith("\nin layer 'broken' (Broken), called with x=float32[2, 3]")


def test_bad_arguments_name_class_argument_and_value():
    with pytest.raises(ValueError, match="Dense: argument units=-1: expected a positive integer"):
        layers.Dense(-1)
    with pytest.raises(
        ValueError,
        match="Conv2D: argument padding='sane': expected one of 'valid', 'same', 'causal'; did you mean 'same'",
    ):
        layers.Conv2D(1, 1, padding="sane")
    with pytest.raises(ValueError, match="there is no activation called 'rulu'; did you mean"):
        layers.Dense(1, activation="rulu")
    with pytest.raises(ValueError, match="there is no initializer called 'glorot'"):
        layers.Dense(1, kernel_initializer="glorot")
    with pytest.raises(ValueError, match="Dropout: argument rate=2: expected a number between 0 and 1"):
        layers.Dropout(2)
    with pytest.raises(ValueError, match="Add.* cannot be merged"):
        layers.Add()([ONES, np.ones((2, 5), "float32")])
    with pytest.raises(ValueError, match="renorm=True: only False is supported"):
        layers.BatchNormalization(renorm=True)


class Child(Layer):
    """Keeps what holds it, and itself."""

    def __init__(self, parent):
        super().__init__()
        self.parent = parent
        self.me = [self]
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x)


class Parent(kcore.Model):
    def __init__(self):
        super().__init__()
        self.child = Child(self)

    def call(self, x):
        return self.child(x)


def test_a_layer_may_hold_its_parent_and_itself(tmp_path):
    model = Parent()
    model.compile("sgd", "mse", metrics=["mae"])
    model.fit(ONES, ONES[:, :2], verbose=0)
    assert len(model.weights) == len(model.child.weights) == 2 and model.count_params() == 8
    assert model.losses == [] and len(model.variables) == 2
    model.save_weights(tmp_path / "m.weights.h5")
    model.load_weights(tmp_path / "m.weights.h5")
    model.trainable = False
    assert model.trainable_weights == [] and not model.child.dense.trainable


def test_an_absent_attribute_is_not_said_to_come_with_build():
    class Typo(Layer):
        def call(self, x):
            return self.scael(x)

    layer = Typo(name="typo")
    layer.scale = ops.abs
    with pytest.raises(AttributeError, match=r"'typo' \(Typo\) has no attribute 'scael'; did you mean 'scale'\?"):
        layer(ONES)


def test_a_property_that_fails_says_why():
    class Broken(Layer):
        @property
        def size(self):
            return self.units

    with pytest.raises(AttributeError, match="no attribute 'units'"):
        _ = Broken().size


def test_a_metric_of_keras_2_is_told_what_it_is_now():
    with pytest.raises(NotImplementedError, match=r"'sum' \(Dense\): add_metric\(\) is of Keras 2; make the metric in"):
        layers.Dense(2, name="sum").add_metric(1.0, name="size")
