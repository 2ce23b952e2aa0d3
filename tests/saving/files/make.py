"""Make the old model files of this folder: run once in an environment of each Keras that is to be read.

    python make.py FOLDER [NAME ...]

writes ``FOLDER/keras-<version>-<engine>.zip`` with, for every model, the file or files that this Keras saved
(``<name>.h5``, ``<name>.keras``, ``<name>.weights.h5``) and ``<name>.npz`` with what it predicted:

- ``x0``, ``x1``, ...: inputs; ``y0``, ...: the predictions of the model as saved;
- ``iterations`` and ``slot_<kind>_<i>``: the optimizer's state, for the i-th of ``model.trainable_weights``;
- ``t0``, ...: targets, and ``next0``, ...: the predictions after one more ``train_on_batch(x, t)``. Not from
  Keras before 2.4 on TensorFlow, where two runs of the same update can give two results.

The zips here were made with these commands and versions:

    # Python 3.6, keras 1.2.2, theano 1.0.5, h5py 2.10
    KERAS_BACKEND=theano THEANO_FLAGS=device=cpu,cxx= python make.py FOLDER
    # Python 3.6, keras 1.2.2, tensorflow 1.5
    KERAS_BACKEND=tensorflow python make.py FOLDER
    # Python 3.7, keras 2.0.6, tensorflow 1.15, h5py 2.10
    KERAS_BACKEND=tensorflow python make.py FOLDER
    # Python 3.7, keras 2.2.4, tensorflow 1.15, h5py 2.10
    KERAS_BACKEND=tensorflow python make.py FOLDER
    # Python 3.7, keras 2.2.4, theano 1.0.5, h5py 2.10
    KERAS_BACKEND=theano THEANO_FLAGS=device=cpu python make.py FOLDER conv1d conv_odd conv_lstm_odd
    # Python 3.7, tensorflow 1.15.5 (tf.keras 2.2.4-tf), h5py 2.10, numpy 1.18
    # Python 3.7, tensorflow 2.0.4 (tf.keras 2.2.4-tf), h5py 2.10, numpy 1.18
    TF_KERAS=1 python make.py FOLDER NAMES
    # Python 3.7, tensorflow 2.3 (tf.keras 2.4.0)
    TF_KERAS=1 python make.py FOLDER
    # Python 3.11, tensorflow-cpu 2.12.0 (Keras 2.12.0), numpy 1.23
    TF_KERAS=1 python make.py FOLDER NAMES
    # Python 3.10, keras 2.13.1, tensorflow 2.13
    KERAS_BACKEND=tensorflow python make.py FOLDER
    # Python 3.10, keras 2.15.0, tensorflow 2.15
    KERAS_BACKEND=tensorflow python make.py FOLDER
    # Python 3.10, keras 3.0.5, jax 0.4.20
    KERAS_BACKEND=jax python make.py FOLDER
    # Python 3.10, keras 3.3.3, jax 0.4.26
    KERAS_BACKEND=jax python make.py FOLDER
    # Python 3.12, keras 3.15.1, jax
    KERAS_BACKEND=jax python make.py FOLDER
"""

import os
import sys
import tempfile
import zipfile

try:
    import theano.ifelse  # noqa: F401 - Keras 1 on Theano uses it without importing it
except ImportError:
    pass
import numpy as np

if os.environ.get("TF_KERAS"):
    import tensorflow

    K = tensorflow.keras
else:
    import keras as K

L, Sequential, Model = K.layers, K.models.Sequential, K.models.Model
VERSION = tuple(int(part) for part in K.__version__.split(".")[:2])
ENGINE = K.backend.backend() if hasattr(K.backend, "backend") else "tensorflow"
ONE, THREE = VERSION < (2,), VERSION >= (3,)
#: Two versions of TensorFlow call their Keras 2.2.4-tf.
EARLY_TF = K.__version__ == "2.2.4-tf"

rng = np.random.RandomState(0)
FLAT = rng.normal(size=(4, 6)).astype("float32")
IMAGES = rng.normal(size=(3, 6, 6, 2)).astype("float32")
STEPS = rng.normal(size=(3, 5, 3)).astype("float32")
WORDS = rng.randint(1, 9, (3, 5))
WORDS[1, 3:] = 0

#: name -> (function that makes the model, input, optimizer or None)
MODELS = {}
#: name -> what makes of the input, kept as an array, the tensor that this model takes.
FED = {}


def fixture(x, optimizer=None, when=True):
    def note(make):
        if when:
            MODELS[make.__name__] = (make, x, optimizer)
        return make

    return note


def sequential(*layers, **keywords):
    if THREE and "input_shape" in keywords:
        return Sequential([L.Input(keywords["input_shape"]), *layers])
    return Sequential(list(layers))


def first(shape):
    return {} if THREE else {"input_shape": shape}


# -- Keras 1 -----------------------------------------------------------------------------------------------------------


@fixture(FLAT, "adam", ONE)
def dense_1():
    return Sequential(
        [
            L.Dense(5, input_dim=6, activation="hard_sigmoid", W_regularizer="l2", init="uniform"),
            L.Dropout(0.2),
            L.BatchNormalization(),
            L.GaussianNoise(0.1),
            L.LeakyReLU(0.1),
            L.Dense(3, activation="softmax", bias=False, W_constraint=K.constraints.maxnorm(3)),
        ]
    )


@fixture(IMAGES, None, ONE)
def conv_1():
    tf = {"dim_ordering": "tf"}
    return Sequential(
        [
            L.Convolution2D(3, 3, 2, input_shape=(6, 6, 2), border_mode="same", activation="relu", **tf),
            L.MaxPooling2D(**tf),
            L.UpSampling2D((2, 3), **tf),
            L.ZeroPadding2D((1, 2), **tf),
            L.AtrousConvolution2D(2, 2, 3, atrous_rate=(2, 2), **tf),
            L.Convolution2D(2, 3, 2, subsample=(2, 2), **tf),
            L.Flatten(),
            L.Dense(2),
        ]
    )


@fixture(IMAGES.transpose(0, 3, 1, 2).copy(), None, ONE)
def conv_first_1():
    th = {"dim_ordering": "th"}
    return Sequential(
        [
            L.Convolution2D(3, 3, 2, input_shape=(2, 6, 6), **th),
            L.BatchNormalization(axis=1),
            L.AveragePooling2D((2, 1), **th),
            L.Flatten(),
            L.Dense(2),
        ]
    )


@fixture(IMAGES, None, ONE)
def deconv_1():
    tf = {"dim_ordering": "tf"}
    return Sequential(
        [L.Deconvolution2D(3, 3, 2, (None, 13, 12, 3), subsample=(2, 2), input_shape=(6, 6, 2), **tf), L.PReLU()]
    )


@fixture(STEPS, None, ONE)
def conv1d_1():
    return Sequential(
        [
            L.Convolution1D(3, 2, input_shape=(5, 3), border_mode="same"),
            L.MaxPooling1D(2),
            L.Convolution1D(2, 1),
            L.Flatten(),
            L.ThresholdedReLU(0.3),
            L.Dense(2),
        ]
    )


def _recurrent_1(mode):
    kind = {"consume_less": mode}
    return Sequential(
        [
            L.LSTM(2, input_shape=(5, 3), return_sequences=True, **kind),
            L.GRU(3, return_sequences=True, go_backwards=True, **kind),
            L.SimpleRNN(2, **kind),
        ]
    )


@fixture(STEPS, None, ONE)
def recurrent_cpu_1():
    return _recurrent_1("cpu")


@fixture(STEPS, None, ONE)
def recurrent_gpu_1():
    return _recurrent_1("gpu")


@fixture(STEPS, "adam", ONE)
def lstm_1():
    return Sequential([L.LSTM(2, input_shape=(5, 3), consume_less="gpu")])


@fixture(WORDS, None, ONE)
def words_1():
    return Sequential(
        [
            L.Embedding(10, 3, input_length=5, mask_zero=True),
            L.Bidirectional(L.LSTM(3, return_sequences=True)),
            L.TimeDistributed(L.Dense(2, activation="tanh")),
            L.GRU(2),
        ]
    )


@fixture(FLAT, "adam", ONE)
def functional_1():
    x = L.Input((6,))
    a, b = L.Dense(4)(x), L.Dense(4, activation="tanh")(x)
    shared = L.Dense(3)
    inner = Sequential([L.Dense(4, input_shape=(4,)), L.BatchNormalization(), L.Dense(4)], name="inner")
    c = L.merge([inner(a), b], mode="sum")
    merged = [L.merge([a, b], mode=mode) for mode in ("mul", "ave", "max")]
    dot = L.merge([a, b], mode="dot", dot_axes=1)
    return Model([x], [L.Dense(2)(L.merge([shared(a), shared(c), dot], mode="concat")), L.merge(merged, mode="concat")])


@fixture([FLAT, FLAT], None, ONE)
def merged_1():
    left, right = Sequential([L.Dense(3, input_dim=6)]), Sequential([L.Dense(4, input_dim=6)])
    return Sequential([L.Merge([left, right], mode="concat"), L.Dense(2)])


# -- Keras 2 and 3 -----------------------------------------------------------------------------------------------------


@fixture(FLAT, "adam", not ONE)
def dense():
    return sequential(
        L.Dense(5, activation="hard_sigmoid", kernel_regularizer="l2", name="a.b", **first((6,))),
        L.Dropout(0.0),
        L.BatchNormalization(),
        L.LeakyReLU(0.1),
        L.Dense(3, activation="softmax", kernel_initializer="he_normal", kernel_constraint=K.constraints.MaxNorm(3)),
        input_shape=(6,),
    )


@fixture(IMAGES, None, not ONE)
def conv():
    return sequential(
        L.Conv2D(3, (3, 2), padding="same", activation="relu", **first((6, 6, 2))),
        L.MaxPooling2D(),
        L.ZeroPadding2D((1, 2)),
        *([L.DepthwiseConv2D(2, depth_multiplier=2)] if VERSION >= (2, 2) else []),
        L.SeparableConv2D(2, 2, depth_multiplier=2),
        L.Conv2DTranspose(2, 3, strides=2),
        L.PReLU(),
        *([L.ThresholdedReLU(0.2)] if not THREE else []),
        *([L.ReLU(2.0, negative_slope=0.1)] if VERSION >= (2, 2) else []),
        L.Flatten(),
        L.Dense(2),
        input_shape=(6, 6, 2),
    )


@fixture(IMAGES, None, ENGINE == "theano" and not ONE)
def conv_odd():
    """Kernels of odd sizes: around even ones Theano pads otherwise, so that such models predict otherwise elsewhere."""
    return sequential(
        L.Conv2D(3, 3, padding="same", activation="relu", **first((6, 6, 2))),
        L.DepthwiseConv2D(3, depth_multiplier=2),
        L.Conv2DTranspose(2, 3, strides=2),
        L.Flatten(),
        L.Dense(2),
    )


@fixture(IMAGES[:, None], None, ENGINE == "theano" and not ONE)
def conv_lstm_odd():
    return sequential(L.ConvLSTM2D(2, 3, padding="same", **first((1, 6, 6, 2))), L.Flatten(), L.Dense(2))


@fixture(STEPS, None, not ONE)
def conv1d():
    return Sequential(
        [
            *([L.Input(batch_shape=(3, 5, 3))] if THREE else []),
            L.Conv1D(3, 2, padding="causal", **({} if THREE else {"batch_input_shape": (3, 5, 3)})),
            L.ZeroPadding1D(1),
            L.Cropping1D((1, 0)),
            L.GaussianNoise(0.1),
            L.SpatialDropout1D(0.1),
            L.AveragePooling1D(2),
            L.ELU(0.5),
            L.Permute((2, 1)),
            L.Reshape((9,)),
            L.RepeatVector(2),
            L.GlobalMaxPooling1D(),
            L.Activation("softplus"),
        ]
    )


@fixture(STEPS, None, not ONE)
def recurrent():
    return sequential(
        L.Masking(**first((5, 3))),
        L.LSTM(2, return_sequences=True, unit_forget_bias=False),
        L.GRU(3, return_sequences=True, go_backwards=True),
        L.SimpleRNN(2),
        input_shape=(5, 3),
    )


@fixture(STEPS, None, VERSION >= (2, 2))
def gru_after():
    return sequential(
        L.GRU(2, reset_after=True, return_sequences=True, recurrent_activation="sigmoid", **first((5, 3))),
        L.GRU(2, reset_after=False, recurrent_activation="hard_sigmoid"),
        input_shape=(5, 3),
    )


@fixture(STEPS, "adam", not ONE)
def lstm():
    return sequential(L.LSTM(2, **first((5, 3))), input_shape=(5, 3))


@fixture(STEPS, None, VERSION >= (2, 2))
def cells():
    return sequential(
        L.RNN([L.LSTMCell(2), L.GRUCell(3)], return_sequences=True, **first((5, 3))),
        L.RNN(L.SimpleRNNCell(2)),
        input_shape=(5, 3),
    )


@fixture(WORDS, None, not ONE)
def words():
    return sequential(
        L.Embedding(10, 3, mask_zero=True, **({} if THREE else {"input_length": 5})),
        L.Bidirectional(L.LSTM(3, return_sequences=True)),
        L.TimeDistributed(L.Dense(2, activation="tanh")),
        L.Bidirectional(L.GRU(2), merge_mode="sum"),
        input_shape=(5,),
    )


@fixture(STEPS[:, :, :, None, None] + np.zeros((1, 1, 1, 3, 1), "float32"), None, VERSION >= (2, 1))
def steps_of_images():
    inner = sequential(L.Conv2D(2, 2, **first((3, 3, 1))), L.BatchNormalization(), L.Flatten(), input_shape=(3, 3, 1))
    x = L.Input((5, 3, 3, 1))
    images = L.ConvLSTM2D(2, 2, return_sequences=False)(x)
    return Model(x, [L.TimeDistributed(inner)(x), images])


@fixture(FLAT, "adam", not ONE)
def functional():
    x = L.Input((6,))
    a, b = L.Dense(4)(x), L.Dense(4, activation="tanh")(x)
    shared = L.Dense(3)
    inner = sequential(L.Dense(4, **first((4,))), L.BatchNormalization(momentum=0.5), L.Dense(4), input_shape=(4,))
    c = L.add([inner(a), b])
    dot = L.dot([a, b], axes=1)
    merged = [merge([a, c]) for merge in (L.multiply, L.average, L.maximum)]
    return Model([x], [L.Dense(2)(L.concatenate([shared(a), shared(c), dot])), L.concatenate(merged)])


@fixture(FLAT, "adam", VERSION >= (2, 2))
def frozen():
    x = L.Input((6,))
    inner = Model(x, L.Dense(2)(L.BatchNormalization()(L.Dense(3)(x))), name="inner")
    deepest = sequential(L.Dense(2, **first((2,))), L.BatchNormalization(), input_shape=(2,))
    outer = Sequential([inner, deepest, L.Dense(2)])
    if THREE:
        outer.build((None, 6))
    inner.trainable = False
    deepest.layers[-1].trainable = False
    return outer


@fixture(STEPS, None, not ONE)
def states():
    x = L.Input((5, 3))
    h, *state = L.LSTM(2, return_sequences=True, return_state=True)(x)
    return Model(x, L.LSTM(2)(h, initial_state=state))


@fixture([FLAT, FLAT[:, :2].copy()], None, VERSION >= (2, 4))
def ops():
    x, z = L.Input((6,)), L.Input((2,))
    if THREE:
        relu, concat, reshape, mean, expand = (
            K.ops.relu,
            K.ops.concatenate,
            K.ops.reshape,
            lambda value, axis: K.ops.mean(value, axis=axis),
            K.ops.expand_dims,
        )
    else:
        import tensorflow as tf

        relu, concat, reshape, mean, expand = tf.nn.relu, tf.concat, tf.reshape, tf.reduce_mean, tf.expand_dims
    y = L.Dense(6)(x) + x
    y = relu(y) * 2.0 - y / 3.0
    y = concat([y, 1.0 - z], -1)
    cut = y[:, 1:3]
    y = reshape(y, (-1, 2, 4)) ** 2
    return Model([x, z], [mean(y, 1) + 1.0, cut, expand(cut, 1)])


@fixture(STEPS, None, VERSION >= (2, 4))
def attention():
    x = L.Input((5, 3))
    y = L.MultiHeadAttention(2, 2)(x, x) if THREE or VERSION >= (2, 5) else L.Attention()([x, x])
    y = L.LayerNormalization()(L.Add()([x, y]))
    y = L.Dense(4, activation="gelu" if VERSION >= (2, 5) else "swish")(y)
    return Model(x, L.GlobalAveragePooling1D()(y))


@fixture(FLAT, None, VERSION >= (2, 13))
def normalized():
    def part(features):
        return [L.UnitNormalization(), L.GroupNormalization(2), L.Dense(features, kernel_initializer="he_uniform")]

    return sequential(L.Rescaling(2.0, 0.5, **first((6,))), *part(4), *part(2), input_shape=(6,))


def _optimizer_fixtures():
    names = ("SGD", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam")
    for name in names:
        keywords = {"SGD": {"momentum": 0.9, "nesterov": True}}.get(name, {})

        def make(name=name):
            return sequential(L.Dense(2, **first((6,))), L.Dense(1), input_shape=(6,))

        make.__name__ = name.lower()
        fixture(FLAT, (name, keywords))(make)
    if VERSION >= (2, 2):
        make = lambda: sequential(L.Dense(2, **first((6,))), L.Dense(1), input_shape=(6,))  # noqa: E731
        make.__name__ = "amsgrad"
        fixture(FLAT, ("Adam", {"amsgrad": True, "clipnorm": 1.0}))(make)
        make = lambda: sequential(L.Dense(2, **first((6,))), input_shape=(6,))  # noqa: E731
        make.__name__ = "decay"
        fixture(FLAT, ("SGD", {} if VERSION >= (2, 11) else {"lr": 0.1, "decay": 0.1}))(make)


_optimizer_fixtures()


# -- saving ------------------------------------------------------------------------------------------------------------


def listed(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


#: The optimizer's state in Keras's order for each class, in the kinds' names of Keras 3.
KINDS = {
    "Adam": ("momentum", "velocity"),
    "Nadam": ("momentum", "velocity"),
    "SGD": ("momentum",),
    "RMSprop": ("velocity",),
    "Adagrad": ("accumulator",),
    "Adadelta": ("accumulated_grad", "accumulated_delta_var"),
    "Adamax": ("momentum", "norm"),
}
#: tf.keras's names of these.
SLOTS = {
    "momentum": ("m", "momentum"),
    "velocity": ("v", "rms"),
    "accumulated_grad": ("accum_grad",),
    "accumulated_delta_var": ("accum_var",),
    "norm": ("v",),
    "accumulator": ("accumulator",),
}
#: Attributes of Keras 2.11 and later.
LISTS = {
    "momentum": ("_momentums", "_m", "momentums"),
    "velocity": ("_velocities", "_v"),
    "accumulated_grad": ("_accumulated_grads",),
    "accumulated_delta_var": ("_accumulated_delta_vars",),
    "norm": ("_u",),
    "accumulator": ("_accumulators",),
}


def state_of(model, order):
    """iterations and slots of a trained model's optimizer, for the i-th trained weight; `order` is get_updates's."""
    optimizer, found = model.optimizer, {}
    kinds = KINDS[type(optimizer).__name__]
    weights = model.trainable_weights
    if hasattr(optimizer, "get_slot"):
        names = {kind: next((n for n in SLOTS[kind] if n in optimizer.get_slot_names()), None) for kind in kinds}
        for kind, name in names.items():
            for i, weight in enumerate(weights):
                if name:
                    found[f"slot_{kind}_{i}"] = K.backend.get_value(optimizer.get_slot(weight, name))
        found["iterations"] = int(K.backend.get_value(optimizer.iterations))
    elif VERSION >= (2, 11):
        for kind in kinds:
            slots = next(getattr(optimizer, name) for name in LISTS[kind] if getattr(optimizer, name, None))
            for i, weight in enumerate(weights):
                number = (
                    optimizer._get_variable_index(weight)
                    if THREE
                    else optimizer._index_dict[optimizer._var_key(weight)]
                )
                found[f"slot_{kind}_{i}"] = np.array(slots[number])
        found["iterations"] = int(np.array(optimizer.iterations))
    else:
        arrays = optimizer.get_weights()
        if arrays and np.shape(arrays[0]) == ():
            found["iterations"] = int(arrays.pop(0))
        arrays = [a for a in arrays if np.shape(a) != () or len(weights) == 0]
        for k, kind in enumerate(kinds):
            for i, weight in enumerate(weights):
                place = k * len(order) + [id(w) for w in order].index(id(weight))
                if place < len(arrays):
                    found[f"slot_{kind}_{i}"] = arrays[place]
    return found


def watch(model):
    """The list that will hold the weights in the order in which the optimizer of Keras up to 2.10 is given them."""
    order = []
    if not hasattr(model.optimizer, "get_updates") or hasattr(model.optimizer, "get_slot"):
        return order
    get_updates = model.optimizer.get_updates
    known = {id(w) for w in model.trainable_weights}

    def watched(*args, **keywords):
        for value in (*args, *keywords.values()):
            if isinstance(value, list) and value and all(id(w) in known for w in value):
                order[:] = value
        return get_updates(*args, **keywords)

    model.optimizer.get_updates = watched
    return order


def forget(model):
    """Set the states of stateful layers to zero."""
    for holder in (model, *model.layers):
        for method in ("reset_state", "reset_states"):
            if getattr(holder, "stateful", False) and hasattr(holder, method):
                getattr(holder, method)()


def save(name, folder):
    """Make, train a little and save one model; returns the names of its files."""
    if hasattr(K.backend, "clear_session"):  # not on Theano
        K.backend.clear_session()
    make, x, optimizer = MODELS[name]
    model = make()
    draw = np.random.RandomState(1)
    model.set_weights([draw.uniform(0.05, 0.6, w.shape).astype("float32") for w in model.get_weights()])
    record = {f"x{i}": a for i, a in enumerate(listed(x))}
    quiet = {"verbose": 0, "batch_size": len(listed(x)[0])}
    if name in FED:
        x = FED[name](x)
    order = []
    if optimizer is not None:
        if callable(optimizer):  # what it is compiled with, as the model needs it
            compiled = optimizer(model)
        else:
            kind, keywords = (optimizer, {}) if isinstance(optimizer, str) else optimizer
            cls = getattr(K.optimizers, {"adam": "Adam"}.get(kind, kind))
            metrics = [["mae"] for _ in model.outputs] if THREE and len(model.outputs) > 1 else ["mae"]
            compiled = {"optimizer": cls(**keywords), "loss": "mse", "metrics": metrics}
        model.compile(**compiled)
        order = watch(model)
        y = listed(model.predict(x, **quiet))
        targets = [np.round(np.random.RandomState(2).uniform(size=a.shape), 1).astype("float32") for a in y]
        given = targets if len(targets) > 1 else targets[0]
        for _ in range(3):
            model.train_on_batch(x, given)
        model.optimizer.__dict__.pop("get_updates", None)
        if type(model.optimizer).__name__ in KINDS:
            record.update(state_of(model, order))
        else:
            counting = getattr(model.optimizer, "inner_optimizer", None) or model.optimizer
            steps = counting.iterations
            record["iterations"] = int(K.backend.get_value(steps) if EARLY_TF else np.array(steps))
    forget(model)
    y = listed(model.predict(x, **quiet))
    forget(model)
    files = []
    for file in ([f"{name}.keras"] if VERSION >= (2, 12) else []) + [f"{name}.h5"]:  # .h5 last: Keras 3 takes the
        try:  # optimizer away
            form = {"save_format": "keras_v3"} if file.endswith(".keras") and VERSION == (2, 12) else {}  # else HDF5
            model.save(os.path.join(folder, file), **form)
            files.append(file)
        except Exception as error:  # noqa: BLE001 - a form that this Keras cannot write of this model
            print(f"{file}: not made: {type(error).__name__}: {str(error)[:200]}", flush=True)
    if name in ("functional", "frozen", "words", "functional_1", "lstm_1", "words_1"):
        files.append(f"{name}.weights.h5")
        model.save_weights(os.path.join(folder, files[-1]))
    record.update({f"y{i}": a for i, a in enumerate(y)})
    if optimizer is not None and (VERSION >= (2, 4) or EARLY_TF or ENGINE == "theano"):
        model.train_on_batch(x, given)
        record.update({f"t{i}": a for i, a in enumerate(targets)})
        record.update({f"next{i}": a for i, a in enumerate(listed(model.predict(x, **quiet)))})
    np.savez(os.path.join(folder, f"{name}.npz"), **record)
    return [*files, f"{name}.npz"]


def main(target, names):

    engine = ENGINE + tensorflow.__version__ if EARLY_TF else ENGINE
    path = os.path.join(target, f"keras-{K.__version__}-{engine}.zip")
    folder = tempfile.mkdtemp()
    with zipfile.ZipFile(path, "a" if names else "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or MODELS:
            try:
                files = save(name, folder)
            except Exception as error:  # noqa: BLE001 - what this Keras cannot do is said, the others are made
                print(f"{name}: not made: {type(error).__name__}: {str(error)[:300]}", flush=True)
                continue
            for file in files:
                archive.write(os.path.join(folder, file), file)
            print(name, flush=True)
    print(path, os.path.getsize(path))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
