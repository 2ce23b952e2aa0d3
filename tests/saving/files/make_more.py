"""Make more old model files, of models as people have them, into the zips of ``make.py``; see there.

    python make_more.py FOLDER NAME [NAME ...]

The names that each Keras can make are told by ``python make_more.py FOLDER``. The commands and versions are those of
``make.py``, and

    # Python 3.7, keras 2.3.1, tensorflow 1.15, h5py 2.10
    KERAS_BACKEND=tensorflow python make.py FOLDER lstm functional nadam amsgrad
"""

import os
import sys

import make
import numpy as np
from make import (
    EARLY_TF,
    ENGINE,
    FED,
    FLAT,
    IMAGES,
    ONE,
    STEPS,
    THREE,
    VERSION,
    WORDS,
    K,
    L,
    Model,
    Sequential,
    first,
    fixture,
    sequential,
)

make.MODELS.clear()
TF = getattr(make, "tensorflow", None)
if TF is None and VERSION >= (2, 11) and not THREE:
    import tensorflow as TF
FIRST = IMAGES.transpose(0, 3, 1, 2).copy()  # channels first
VIDEO = np.stack([IMAGES, IMAGES[::-1], IMAGES * 0.5], 1)
adam = K.optimizers.Adam


def started(shape, batch=3):
    """Arguments of a first layer with a batch of fixed size."""
    return {} if THREE else {"batch_input_shape": (batch, *shape)}


def batched(layers, shape, batch=3):
    return Sequential(([L.Input(batch_shape=(batch, *shape))] if THREE else []) + list(layers))


# -- Keras 1 -----------------------------------------------------------------------------------------------------------


@fixture(
    FIRST, lambda model: {"optimizer": "adadelta", "loss": "categorical_crossentropy", "metrics": ["accuracy"]}, ONE
)
def mnist_1():
    """The example of Keras 1, channels first."""
    th = {"dim_ordering": "th"}
    return Sequential(
        [
            L.Convolution2D(4, 3, 3, border_mode="valid", input_shape=(2, 6, 6), **th),
            L.Activation("relu"),
            L.Convolution2D(3, 3, 3, **th),
            L.Activation("relu"),
            L.MaxPooling2D(pool_size=(2, 2), **th),
            L.Dropout(0.0),
            L.Flatten(),
            L.Dense(8),
            L.Activation("relu"),
            L.Dense(3),
            L.Activation("softmax"),
        ]
    )


@fixture(VIDEO, None, ONE and ENGINE == "tensorflow")
def video_1():
    tf = {"dim_ordering": "tf"}
    return Sequential(
        [
            L.TimeDistributed(L.Convolution2D(2, 3, 3, activation="relu", **tf), input_shape=(3, 6, 6, 2)),
            L.TimeDistributed(L.MaxPooling2D(**tf)),
            L.TimeDistributed(L.Flatten()),
            L.Bidirectional(L.GRU(2, return_sequences=True), merge_mode="ave"),
            L.TimeDistributed(L.Dense(2)),
            L.SimpleRNN(2, init="uniform", inner_init="identity"),
        ]
    )


@fixture(VIDEO, None, ONE and ENGINE == "tensorflow")
def volumes_1():
    tf = {"dim_ordering": "tf"}
    return Sequential(
        [
            L.ZeroPadding3D((1, 0, 1), input_shape=(3, 6, 6, 2), **tf),
            L.Convolution3D(2, 2, 3, 2, subsample=(1, 2, 1), **tf),
            L.UpSampling3D((1, 2, 1), **tf),
            L.AveragePooling3D((2, 1, 2), **tf),
            L.Cropping3D(((0, 0), (1, 0), (0, 1)), **tf),
            L.GlobalMaxPooling3D(**tf),
        ]
    )


@fixture(VIDEO.transpose(0, 4, 1, 2, 3).copy(), None, ONE and ENGINE == "theano")
def volumes_first_1():
    return Sequential(
        [L.Convolution3D(2, 3, 3, 1, input_shape=(2, 3, 6, 6), dim_ordering="th", bias=False), L.Flatten(), L.Dense(2)]
    )


@fixture(IMAGES, None, ONE and ENGINE == "tensorflow")
def separable_1():
    tf = {"dim_ordering": "tf"}
    return Sequential(
        [
            L.SeparableConvolution2D(3, 3, 2, depth_multiplier=2, input_shape=(6, 6, 2), border_mode="same", **tf),
            L.Cropping2D(((1, 0), (0, 1)), **tf),
            L.SpatialDropout2D(0.3, **tf),
            L.PReLU(),
            L.AveragePooling2D((3, 2), strides=(1, 2), **tf),
            L.GlobalAveragePooling2D(**tf),
        ]
    )


@fixture(STEPS, None, ONE and ENGINE == "tensorflow")
def signals_1():
    return Sequential(
        [
            L.Convolution1D(4, 3, input_shape=(5, 3), subsample_length=2, border_mode="same", W_regularizer="l1l2"),
            L.UpSampling1D(3),
            L.AtrousConvolution1D(3, 2, atrous_rate=2, activation="tanh"),
            L.BatchNormalization(mode=2, axis=2),
            L.ZeroPadding1D(2),
            L.AveragePooling1D(3, stride=2),
            L.SpatialDropout1D(0.2),
            L.ELU(0.7),
            L.GaussianDropout(0.2),
            L.ActivityRegularization(l1=0.1, l2=0.2),
            L.Cropping1D((1, 1)),
            L.Permute((2, 1)),
            L.Reshape((-1,)),
            L.RepeatVector(2),
            L.GlobalAveragePooling1D(),
        ]
    )


@fixture(FLAT, None, ONE and ENGINE == "tensorflow")
def samplewise_1():
    return Sequential([L.Dense(4, input_dim=6, activation="tanh"), L.BatchNormalization(mode=1), L.Dense(2)])


@fixture(STEPS, None, ONE)
def stateful_1():
    return Sequential(
        [
            L.Masking(0.5, batch_input_shape=(3, 5, 3)),
            L.LSTM(2, stateful=True, return_sequences=True, forget_bias_init="zero", inner_activation="sigmoid"),
            L.GRU(2, stateful=True, dropout_W=0.2, dropout_U=0.1, U_regularizer="l2"),
        ]
    )


@fixture(
    [FLAT, FLAT[:, :3].copy()],
    lambda model: {
        "optimizer": "sgd",
        "loss": {"one": "mse", "two": "binary_crossentropy"},
        "loss_weights": {"one": 1.0, "two": 0.5},
    },
    ONE,
)
def two_outputs_1():
    x, z = L.Input((6,), name="x"), L.Input((3,), name="z")
    a, b = L.Dense(4, name="a")(x), L.Dense(4, name="b")(z)
    inner_x = L.Input((4,))
    inner = Model(inner_x, L.BatchNormalization()(L.Dense(4)(inner_x)), name="inner")
    cos = L.merge([a, b], mode="cos", dot_axes=1)
    joined = L.merge([inner(a), inner(b), L.Flatten()(cos)], mode="concat", concat_axis=1)
    return Model([x, z], [L.Dense(2, name="one")(joined), L.Dense(1, activation="sigmoid", name="two")(joined)])


# -- Keras 2 and 3 -----------------------------------------------------------------------------------------------------


@fixture(STEPS, None, not ONE)
def stateful():
    how = {"implementation": 2} if (2, 1) < VERSION < (3,) else {}
    return batched(
        [
            L.LSTM(2, stateful=True, return_sequences=True, unroll=VERSION != (2, 2), **how, **started((5, 3))),
            L.GRU(3, stateful=True, return_sequences=True, **how),
            L.SimpleRNN(2, stateful=True),
        ],
        (5, 3),
    )


@fixture(WORDS, lambda model: {"optimizer": "adam", "loss": "mean_squared_error", "metrics": ["accuracy"]}, not ONE)
def sentences():
    return sequential(
        L.Embedding(10, 4, mask_zero=True, **({} if THREE else {"input_length": 5})),
        L.Bidirectional(L.LSTM(3, return_sequences=True, recurrent_activation="hard_sigmoid"), merge_mode="ave"),
        L.Masking(0.0),
        L.Bidirectional(L.GRU(2, return_sequences=True)),
        L.GRU(2, dropout=0.0, **({"reset_after": False} if VERSION >= (2, 2) else {})),
        L.Dense(3, activation="softmax"),
        input_shape=(5,),
    )


@fixture([WORDS, WORDS[:, ::-1].copy()], lambda model: {"optimizer": adam(), "loss": "binary_crossentropy"}, not ONE)
def siamese():
    """Layers that are called twice."""
    x, z = L.Input((5,), name="left"), L.Input((5,), name="right")
    embedding, recurrent = L.Embedding(10, 3), L.LSTM(2)
    a, b = recurrent(embedding(x)), recurrent(embedding(z))
    parts = [L.Dot(1, normalize=True)([a, b]), L.Multiply()([a, b]), a]
    return Model([x, z], L.Dense(1, activation="sigmoid")(L.Concatenate()(parts)))


@fixture(VIDEO, None, not ONE)
def video():
    return sequential(
        L.TimeDistributed(L.Conv2D(2, 3, activation="relu"), **first((3, 6, 6, 2))),
        L.TimeDistributed(L.BatchNormalization()),
        L.TimeDistributed(L.MaxPooling2D()),
        L.TimeDistributed(L.Flatten()),
        L.TimeDistributed(L.Dense(2), name="per_step"),
        L.Bidirectional(L.LSTM(2), merge_mode="concat"),
        input_shape=(3, 6, 6, 2),
    )


@fixture(IMAGES, lambda model: {"optimizer": K.optimizers.SGD(momentum=0.9), "loss": "mse"}, not ONE)
def transfer():
    """A functional model with BatchNormalization in a Sequential one."""
    x = L.Input((6, 6, 2))
    y = L.Conv2D(3, 3, use_bias=False, name="block1.conv")(x)
    y = L.Activation("relu")(L.BatchNormalization(name="block1.bn")(y))
    z = L.SeparableConv2D(3, 3, padding="same", activation="tanh")(y)
    base = Model(x, L.BatchNormalization(scale=False)(L.Add()([y, z])), name="base")
    return sequential(base, L.GlobalAveragePooling2D(), L.Dense(4, name="fc"), L.Dense(2), input_shape=(6, 6, 2))


@fixture(IMAGES, None, not ONE)
def separable():
    return sequential(
        L.SeparableConv2D(3, (3, 2), strides=2, padding="same", depth_multiplier=3, use_bias=False, **first((6, 6, 2))),
        *([L.DepthwiseConv2D((2, 1), activation="relu")] if VERSION >= (2, 2) else []),
        L.Reshape((-1, 3)),
        *([L.SeparableConv1D(2, 2, depth_multiplier=2, activation="elu")] if VERSION >= (2, 2) else []),
        L.GlobalAveragePooling1D(),
        L.GaussianDropout(0.1),
        L.AlphaDropout(0.1),
        L.ActivityRegularization(0.1),
        input_shape=(6, 6, 2),
    )


@fixture(
    [FLAT, FLAT[:, :3].copy()],
    lambda model: {
        "optimizer": adam(),
        "loss": {"one": "mse", "two": "binary_crossentropy"},
        "loss_weights": {"one": 1.0, "two": 0.5},
        "metrics": {"one": "mae"},
    },
    not ONE,
)
def two_outputs():
    x, z = L.Input((6,), name="x"), L.Input((3,), name="z")
    a, b = L.Dense(4, name="a")(x), L.Dense(4, name="b")(z)
    inner_x = L.Input((4,))
    inner = Model(inner_x, L.BatchNormalization()(L.Dense(4)(inner_x)), name="inner")
    around_x, deep_x = L.Input((4,)), L.Input((4,))
    deep = Model(deep_x, L.BatchNormalization()(L.Dense(4, activation="tanh")(deep_x)), name="deep")
    around = Model(around_x, L.Dense(4)(deep(deep(around_x))), name="around")
    joined = L.Concatenate(1)([inner(a), around(b), inner(b), L.Average()([a, b])])
    return Model([x, z], [L.Dense(2, name="one")(joined), L.Dense(1, activation="sigmoid", name="two")(joined)])


@fixture(FLAT, lambda model: {"optimizer": adam(), "loss": "mse"}, VERSION > (2, 12))
def shared_part():
    """A model that stands at two depths. Keras 2.12 writes a call of it in a wrong place, and cannot load it."""
    x, inner_x, around_x = L.Input((6,)), L.Input((6,)), L.Input((6,))
    inner = Model(inner_x, L.BatchNormalization()(L.Dense(6)(inner_x)), name="inner")
    around = Model(around_x, L.Dense(6)(inner(around_x)), name="around")
    return Model(x, L.Add()([inner(x), around(x)]))


# classes and functions of one's own: the test has the same for kcore


class Scale(L.Layer):
    def __init__(self, power=1, **keywords):
        self.power = power
        L.Layer.__init__(self, **keywords)

    def build(self, shape):
        keywords = {"name": "factor", "shape": (int(shape[-1]),), "initializer": "ones"}
        self.factor = self.add_weight(**keywords)
        L.Layer.build(self, shape)

    def call(self, x):
        return x * self.factor**self.power

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return dict(L.Layer.get_config(self), power=self.power)


def shifted(x):
    return x - 0.5


def cubed(y_true, y_pred):
    return K.ops.mean(abs(y_true - y_pred) ** 3) if THREE else K.backend.mean(K.backend.abs(y_true - y_pred) ** 3)


@fixture(FLAT, lambda model: {"optimizer": adam(), "loss": cubed, "metrics": [cubed]}, not ONE)
def custom():
    return sequential(L.Dense(3, activation=shifted, **first((6,))), Scale(2), L.Dense(2), input_shape=(6,))


if VERSION >= (2, 4):

    @fixture(FLAT, None)
    def custom_registered():
        """Its name in the file is "mine>Scale"."""
        where = K.utils if hasattr(K.utils, "register_keras_serializable") else K.saving
        own = where.register_keras_serializable(package="mine")(Scale)
        return sequential(L.Dense(3, **first((6,))), own(2), input_shape=(6,))


if VERSION >= (2, 4):

    def scheduled(model):
        schedule = K.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5, staircase=True)
        return {
            "optimizer": K.optimizers.SGD(schedule, momentum=0.5),
            "loss": K.losses.Huber(0.3) if not THREE else "huber",
            "metrics": [K.metrics.AUC(num_thresholds=5, name="area")] if not THREE else ["mae"],
        }

    @fixture(FLAT, scheduled)
    def schedule():
        return sequential(
            L.Dense(3, activation="relu", **first((6,))), L.Dense(1, activation="sigmoid"), input_shape=(6,)
        )

    @fixture(FLAT, lambda model: {"optimizer": adam(0.01), "loss": "mse"})
    def mixed():
        policies = K.mixed_precision if VERSION >= (2, 5) else K.mixed_precision.experimental
        chosen = getattr(policies, "set_global_policy", None) or policies.set_policy
        if THREE:
            chosen = K.config.set_dtype_policy if hasattr(K.config, "set_dtype_policy") else chosen
        chosen("mixed_float16")
        try:
            return sequential(
                L.Dense(4, activation="relu", **first((6,))),
                L.BatchNormalization(),
                L.Dense(2, dtype="float32"),
                input_shape=(6,),
            )
        finally:
            chosen("float32")

    @fixture(FLAT, lambda model: {"optimizer": adam(clipvalue=0.5), "loss": "mse"})
    def clipped():
        return sequential(
            L.Dense(2, **first((6,))), L.Rescaling(2.0) if VERSION >= (2, 6) else L.ReLU(), input_shape=(6,)
        )


if (2, 11) <= VERSION < (3,):

    def _legacy_fixtures():
        for name, keywords in (
            ("Adam", {"amsgrad": True}),
            ("SGD", {"momentum": 0.9, "decay": 0.1}),
            ("RMSprop", {"momentum": 0.5, "centered": True}),
            ("Adagrad", {}),
            ("Adadelta", {}),
            ("Adamax", {}),
            ("Nadam", {}),
            ("Ftrl", {"learning_rate": 0.1}),
        ):

            def make_it():
                return sequential(L.Dense(2, **first((6,))), L.Dense(1))

            make_it.__name__ = "legacy_" + name.lower()
            fixture(
                FLAT,
                lambda model, n=name, k=keywords: {"optimizer": getattr(K.optimizers.legacy, n)(**k), "loss": "mse"},
            )(make_it)
        for name, keywords in (
            ("AdamW", {"weight_decay": 0.1, "use_ema": True, "ema_overwrite_frequency": 2}),
            ("Lion", {}),
            ("Adafactor", {"learning_rate": 0.01}),
            ("Ftrl", {"learning_rate": 0.1}),
            ("RMSprop", {"momentum": 0.5, "centered": True}),
        ):
            if not hasattr(K.optimizers, name):
                continue

            def make_it():
                return sequential(L.Dense(2, **first((6,))), L.Dense(1))

            make_it.__name__ = "newer_" + name.lower()
            fixture(
                FLAT, lambda model, n=name, k=keywords: {"optimizer": getattr(K.optimizers, n)(**k), "loss": "mse"}
            )(make_it)

    _legacy_fixtures()


if (2, 2) <= VERSION < (2, 11):

    @fixture(
        FLAT,
        lambda model: {
            "optimizer": K.optimizers.RMSprop(
                **({"momentum": 0.5, "centered": True} if VERSION >= (2, 4) else {"decay": 0.1})
            ),
            "loss": "mse",
        },
    )
    def rmsprop_more():
        return sequential(L.Dense(2, **first((6,))), L.Dense(1))


if (2, 4) <= VERSION < (3,):
    ROWS = FLAT.reshape(4, 2, 3)

    @fixture([ROWS, ROWS[::-1] + 0.25], None)
    def math():
        """Functions of TensorFlow among the layers."""
        tf = TF
        x, z = L.Input((2, 3), name="x"), L.Input((2, 3), name="z")
        outs = [
            x + z,
            x - 2.0,
            3.0 - x,
            x * z,
            2.0 * x,
            x / (z + 9.0),
            1.0 / (x + 9.0),
            -x,
            abs(x),
            x**2,
            (x + 9.0) // 2.0,
            (x + 9.0) % 2.0,
            tf.matmul(x, z, transpose_b=True),
            tf.where(x > z, x, z),
            tf.cast(tf.logical_and(x > 0.0, z <= 0.5), "float32"),
            tf.cast(tf.math.logical_not(x >= z), "float32"),
            tf.math.l2_normalize(x, axis=-1),
            tf.norm(x, axis=-1),
            tf.matmul(x, z, transpose_a=True),
            *([tf.math.reduce_variance(x, axis=1)] if VERSION > (2, 4) else []),
            *([tf.math.reduce_std(x, axis=1, keepdims=True)] if VERSION > (2, 4) else []),
            *([tf.math.reduce_logsumexp(x, axis=-1)] if VERSION > (2, 4) else []),
            tf.reduce_sum(x, [1, 2]),
            tf.math.divide_no_nan(x, tf.nn.relu(z)),
            tf.math.cumsum(x, axis=1),
            tf.nn.log_softmax(x),
            *([tf.nn.softmax(x, axis=1)] if VERSION > (2, 4) else [tf.nn.softmax(x)]),
            tf.math.exp(x),
            tf.math.log(abs(x) + 1.0),
            tf.math.sqrt(abs(x)),
            tf.math.rsqrt(abs(x) + 1.0),
            tf.math.sign(x),
            tf.math.floor(x),
            tf.math.tan(x),
            tf.math.atan(x),
            tf.math.sinh(x),
            tf.math.erf(x),
            tf.math.reciprocal(x + 9.0),
            tf.clip_by_value(x, -0.5, 0.5),
            *(
                [tf.tensordot(x, tf.constant(np.arange(6, dtype="float32").reshape(3, 2)), 1)]
                if VERSION > (2, 4)
                else []
            ),
            tf.pad(x, [[0, 0], [1, 0], [0, 2]]),
            tf.gather(x, [1, 0, 1], axis=1),
            tf.reverse(x, axis=[1]),
            *([tf.repeat(x, 2, axis=1)] if VERSION > (2, 4) else []),
            tf.tile(x, [1, 2, 1]),
            tf.transpose(x, [0, 2, 1]),
            tf.squeeze(tf.expand_dims(x, 1), 1),
            tf.stack([x, z], axis=1),
            tf.concat([x, z], axis=-1),
            *tf.split(x, [1, 2], axis=-1),
            *tf.unstack(x, axis=1),
            x[:, 0],
            *([x[..., 1:]] if VERSION < (2, 11) else []),
            x[:, :, 1:],
            x[:, tf.newaxis, ::-1],
            x[:, -1, :],
            *([tf.one_hot(tf.argmax(x, axis=-1), 3)] if VERSION > (2, 4) else [tf.cast(tf.argmax(x, -1), "float32")]),
            tf.math.top_k(x, k=2)[0],
            tf.reshape(x, [-1, 6]),
            *([tf.reshape(x, [tf.shape(x)[0], 6])] if VERSION > (2, 4) else []),
            tf.add_n([x, z, x]),
            tf.math.maximum(x, z),
            tf.minimum(x, 0.1),
            tf.pow(abs(x), z),
            tf.nn.leaky_relu(x),
            tf.nn.elu(x),
            tf.nn.relu6(x),
            tf.nn.swish(x),
            tf.sigmoid(x),
            tf.tanh(x),
            tf.nn.l2_normalize(x, 1),
            tf.zeros_like(x),
            *([tf.ones_like(x)] if VERSION > (2, 4) else []),
            tf.identity(x),
            tf.stop_gradient(x),
            tf.reduce_all(x > -9.0, axis=-1),
            tf.reduce_any(x > 0.0, axis=-1),
            tf.not_equal(x, z),
            tf.equal(x, x),
        ]
        outs = [tf.cast(out, "float32") if out.dtype == tf.bool else out for out in outs]
        return Model([x, z], outs)


# -- arguments that only tf.keras had ----------------------------------------------------------------------------------


TF_KERAS = EARLY_TF or (2, 4) <= VERSION < (3,)


@fixture(FLAT, lambda model: {"optimizer": adam(0.01), "loss": "mse"}, TF_KERAS)
def initializers():
    """In files of TensorFlow 1.15 each has a dtype."""
    drawn = [
        K.initializers.RandomUniform(-0.1, 0.1, seed=1),
        K.initializers.RandomNormal(stddev=0.1),
        K.initializers.TruncatedNormal(seed=2),
        K.initializers.VarianceScaling(2.0, "fan_out", "uniform"),
        K.initializers.Orthogonal(0.5),
        K.initializers.Identity(0.5),
        K.initializers.Constant(0.25),
        K.initializers.GlorotNormal() if hasattr(K.initializers, "GlorotNormal") else "glorot_normal",
        "he_uniform",
        "lecun_normal",
    ]
    layers = [L.Dense(6, activation="tanh", kernel_initializer=one, bias_initializer="ones") for one in drawn]
    return Sequential([L.InputLayer((6,)), *layers])


TIMES = np.concatenate([STEPS, STEPS[::-1] * 0.5]).transpose(1, 0, 2).copy()  # steps, samples, features


@fixture(TIMES, lambda model: {"optimizer": adam(), "loss": "mse"}, TF_KERAS)
def steps_first():
    """Steps along the first axis, samples along the second."""
    x = L.Input((6, 3), name="x")
    y, *state = L.LSTM(2, time_major=True, return_sequences=True, return_state=True)(x)
    y = L.GRU(2, time_major=True, return_sequences=True)(y, initial_state=state[0])
    return Model(x, L.SimpleRNN(2, time_major=True, return_sequences=True, go_backwards=True)(y))


def steps_first_both():
    x = L.Input((6, 3), name="x")
    y = L.Bidirectional(L.GRU(3, time_major=True, return_sequences=True), merge_mode="sum")(x)
    return Model(x, L.Bidirectional(L.LSTM(2, time_major=True, return_sequences=True))(y))


def samples_turned():
    """The same model, in which TensorFlow turned round the samples instead of the steps."""
    return steps_first_both()


fixture(TIMES, lambda model: {"optimizer": adam(), "loss": "mse"}, TF_KERAS and not EARLY_TF)(steps_first_both)
fixture(TIMES, None, EARLY_TF)(samples_turned)


@fixture(FLAT, None, TF_KERAS)
def sparse():
    x = L.Input((6,), name="x", sparse=True)
    return Model(x, L.Dense(2)(L.Dense(3, activation="tanh")(x)))


@fixture(STEPS, None, VERSION == (2, 12))
def ragged():
    x = L.Input((None, 3), name="x", ragged=True)
    return Model(x, L.Dense(2)(L.LSTM(2)(x)))


if TF_KERAS:

    def as_sparse(x):
        return TF.sparse.from_dense(x)

    def as_ragged(x):
        return TF.RaggedTensor.from_tensor(x)

    FED.update({"sparse": as_sparse, "ragged": as_ragged})


if THREE:

    @fixture(FLAT, None, VERSION >= (3, 3))
    def lora():
        model = sequential(L.Dense(4), L.Dense(2), input_shape=(6,))
        model.layers[0].enable_lora(2)
        return model


if VERSION == (2, 13):
    import ntpath

    def from_windows(model):
        """Has the rest of this run join the names of groups as it is done on Windows."""
        from keras.src.saving import saving_lib

        def join(path, *paths):
            return (os.path if "/" in path else ntpath).join(path, *paths)

        saving_lib.tf.io.gfile.join = join
        return {"optimizer": adam(), "loss": "mse"}

    @fixture(FLAT, from_windows)
    def windows():
        x, inner_x = L.Input((6,)), L.Input((6,))
        inner = Model(inner_x, L.BatchNormalization()(L.Dense(6)(inner_x)), name="inner")
        return Model(x, L.Dense(2)(L.Dense(3)(inner(x))))


if THREE:

    @fixture(FLAT, None, VERSION >= (3, 3))
    def quantized():
        model = sequential(L.Dense(4), L.Dense(2), input_shape=(6,))
        model.quantize("int8")
        return model


if VERSION >= (2,):

    @fixture(FLAT, None)
    def function():
        """Holds code, which is refused."""
        return sequential(L.Lambda(lambda x: x * 2.0, **first((6,))), L.Dense(2), input_shape=(6,))


@fixture(FLAT, None, (2,) <= VERSION < (3,))
def foreign():
    """Has a layer that kcore does not have."""
    own = {"input_shape": (6, 1)}
    return sequential(L.Reshape((6, 1), input_shape=(6,)), L.LocallyConnected1D(2, 2, **own), L.Flatten())


# -- preprocessing -----------------------------------------------------------------------------------------------------


@fixture(FLAT * 3 + 1, None, VERSION >= (2, 4))
def adapted():
    kind = L.Normalization if VERSION >= (2, 6) else L.experimental.preprocessing.Normalization
    learned = kind(axis=-1, **first((6,)))
    learned.adapt(FLAT * 2 + 5)
    given = [kind(axis=-1, mean=[0.5] * 6, variance=[4.0] * 6)] if VERSION >= (2, 6) else []
    model = sequential(learned, *given, L.Dense(2, **first((6,))), input_shape=(6,))
    model.build((None, 6))
    model.set_weights = lambda weights: None  # what was learned counts
    return model


@fixture([WORDS[:, :1].copy(), FLAT[:3, :1].copy()], None, (2, 13) <= VERSION < (3,))
def looked_up():
    words, numbers = L.Input((1,), dtype="int64"), L.Input((1,))
    lookup, bins = L.IntegerLookup(output_mode="multi_hot"), L.Discretization(num_bins=3)
    lookup.adapt(WORDS)
    bins.adapt(FLAT)
    encoded = L.CategoryEncoding(3, "one_hot")(bins(numbers))
    model = Model([words, numbers], L.Dense(2)(L.Concatenate()([lookup(words), encoded])))
    model.set_weights = lambda weights: None  # what was learned counts
    return model


if __name__ == "__main__":
    if len(sys.argv) > 2:
        make.main(sys.argv[1], sys.argv[2:])
    else:
        print(" ".join(make.MODELS))
