"""The functions of ``keras.backend`` that Keras 1 and 2 had and old scripts call, most of them ``K.something``.

Those on tensors are a line each over `kcore.ops`. What only a TensorFlow graph can mean (sessions, placeholders fed by
hand, symbolic gradients) is refused by a message that names what does it here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import kcore
from kcore import config, ops, random, tree
from kcore.backend import use_backend
from kcore.runtime import Variable, is_keras_tensor

#: Asked for without a meaning here, and what to write instead.
_GONE = {
    "get_session": "there are no sessions; K.eval(x) gives a value, K.clear_session() forgets names and seeds",
    "set_session": "there are no sessions; kcore.use_backend() chooses the device",
    "gradients": "use kcore.GradientTape, or kcore.grad(function)",
    "manual_variable_initialization": "variables have values as soon as they are made",
    "rnn": "use layers.RNN with a cell, or ops.scan",
    "foldl": "use ops.scan",
    "foldr": "use ops.scan over ops.flip",
    "ctc_batch_cost": "use losses.CTC or ops.ctc_loss",
    "ctc_decode": "use ops.ctc_decode, which takes sequence_lengths",
    "ctc_label_dense_to_sparse": "kcore has no sparse tensors",
    "to_dense": "kcore has no sparse tensors; every tensor is dense already",
    "name_scope": "use kcore.name_scope",
    "set_learning_phase": "there is no global learning phase; call the model with training=True or False",
}


#: Names that mean in `kcore.ops` what they meant here; some under another name.
_SAME = {
    name: name
    for name in (
        *("abs", "cast", "cos", "cumprod", "cumsum", "elu", "equal", "exp", "expand_dims", "greater", "greater_equal"),
        *("in_top_k", "less", "less_equal", "log", "maximum", "minimum", "not_equal", "one_hot", "reshape", "round"),
        *("sigmoid", "sign", "sin", "softplus", "softsign", "square", "stack", "stop_gradient", "tanh", "tile"),
        *("transpose",),
    )
} | {"map_fn": "map", "pow": "power"}


def __getattr__(name: str) -> Any:
    if name in _SAME:
        return getattr(ops, _SAME[name])
    if name in _REDUCTIONS:
        return _REDUCTIONS[name]
    if name in _GONE:
        raise AttributeError(f"keras.backend.{name} is not in kcore: {_GONE[name]}", name=name)
    raise AttributeError(f"module 'kcore.compat.backend' has no attribute {name!r}", name=name)


def __dir__() -> list[str]:
    return sorted({*(name for name in globals() if not name.startswith("_")), *_SAME, *_REDUCTIONS})


def use_opencl(*ignored: Any) -> None:
    """What ``plaidml.keras.install_backend()`` means here: the OpenCL backend."""
    use_backend("opencl")


# -- values, variables, what is known of them --------------------------------------------------------------------------


class _LearningPhase:
    """What `learning_phase` gives: a place for 0 or 1 among the inputs of a `function`."""


_PHASE = _LearningPhase()


def learning_phase() -> Any:
    """Among the inputs of `function`: 1 for training, 0 for testing."""
    return _PHASE


def function(inputs: Sequence[Any], outputs: Any, updates: Sequence[Any] = (), name: str | None = None) -> Any:
    """A function from values of some tensors of a functional model to values of others.

    Args:
        inputs: tensors, and `learning_phase()` where its value is to be given.
        outputs: a tensor or a list of them.
        updates: must be empty.

    Returns:
        A function of a list of arrays, which gives a list of arrays (an array for a single tensor).

    Source: `keras.backend.function` (Keras 2).
    """
    if updates:
        raise NotImplementedError("K.function(updates=...) is not in kcore: write a layer, or a train_step")
    inputs = list(inputs)
    tensors = [x for x in inputs if x is not _PHASE]
    several = isinstance(outputs, (list, tuple))
    model = kcore.Model(tensors, list(outputs) if several else [outputs], name=name)

    def run(values: Sequence[Any]) -> Any:
        if len(values) != len(inputs):
            raise ValueError(f"this function takes a list of {len(inputs)} arrays, received {len(values)}")
        given = [value for x, value in zip(inputs, values, strict=True) if x is not _PHASE]
        training = any(x is _PHASE and value for x, value in zip(inputs, values, strict=True))
        results = [ops.convert_to_numpy(y) for y in tree.flatten(model(given, training=training))]
        return results if several else results[0]

    return run


def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Variable:
    """A `kcore.Variable` with this value."""
    made = Variable(ops.convert_to_numpy(value), dtype=dtype, name=name)
    made.constraint = constraint
    return made


def constant(value: Any, dtype: Any = None, shape: Sequence[int] | None = None, name: str | None = None) -> Any:
    """A tensor with this value, all of it the same where `shape` is given."""
    tensor = ops.convert_to_tensor(value, dtype or config.floatx())
    return tensor if shape is None else ops.broadcast_to(tensor, tuple(shape))


def placeholder(
    shape: Any = None, ndim: int | None = None, dtype: Any = None, name: str | None = None, **_: Any
) -> Any:
    """A symbolic input, as `layers.Input` with the batch in its shape."""
    dims = tuple(shape) if shape is not None else (None,) * (ndim or 0)
    return kcore.layers.Input(batch_shape=dims, dtype=dtype or config.floatx(), name=name)


def get_value(x: Any) -> np.ndarray:
    """The value of a variable or tensor."""
    return ops.convert_to_numpy(x)


eval = get_value  # noqa: A001 - its name in Keras


def batch_get_value(tensors: Sequence[Any]) -> list[np.ndarray]:
    """The values of several variables."""
    return [get_value(x) for x in tensors]


def set_value(x: Variable, value: Any) -> None:
    """Give a variable a value; also `lr` of an optimizer: ``K.set_value(model.optimizer.lr, 0.01)``."""
    x.assign(value)


def batch_set_value(pairs: Sequence[tuple[Variable, Any]]) -> None:
    """Give several variables values."""
    for x, value in pairs:
        x.assign(value)


def update(x: Variable, new_x: Any) -> Any:
    """Give a variable a value."""
    return x.assign(new_x)


def update_add(x: Variable, increment: Any) -> Any:
    """Add to a variable."""
    return x.assign_add(increment)


def update_sub(x: Variable, decrement: Any) -> Any:
    """Subtract from a variable."""
    return x.assign_sub(decrement)


def moving_average_update(x: Variable, value: Any, momentum: float) -> Any:
    """``x = momentum * x + (1 - momentum) * value``."""
    return x.assign(x * momentum + ops.cast(value, x.dtype) * (1 - momentum))


def dtype(x: Any) -> str:
    """The dtype's name."""
    return str(x.dtype)


def ndim(x: Any) -> int:
    """The number of axes."""
    return len(x.shape)


def int_shape(x: Any) -> tuple[int | None, ...]:
    """The shape, None where it is not known."""
    return tuple(x.shape)


def count_params(x: Any) -> int:
    """The number of elements."""
    return int(np.prod(x.shape))


def image_dim_ordering() -> str:
    """Keras 1's name for the data format: "tf" for channels_last, "th" for channels_first."""
    return "tf" if config.image_data_format() == "channels_last" else "th"


def set_image_dim_ordering(dim_ordering: str) -> None:
    """Keras 1's `set_image_data_format`."""
    known = {"tf": "channels_last", "th": "channels_first"}
    if dim_ordering not in known:
        raise ValueError(f"dim_ordering is 'tf' or 'th', received {dim_ordering!r}")
    config.set_image_data_format(known[dim_ordering])


def is_placeholder(x: Any) -> bool:
    """Whether this is a symbolic tensor."""
    return is_keras_tensor(x)


def is_sparse(tensor: Any) -> bool:
    """No: kcore has no sparse tensors."""
    return False


def cast_to_floatx(x: Any) -> Any:
    """An array or tensor in the default float dtype."""
    return np.asarray(x, config.floatx()) if isinstance(x, np.ndarray) else ops.cast(x, config.floatx())


def print_tensor(x: Any, message: str = "") -> Any:
    """Print a tensor that has a value, and give it back."""
    print(message, get_value(x))
    return x


# -- made from nothing, and at random ----------------------------------------------------------------------------------


def zeros(shape: Any, dtype: Any = None, name: str | None = None) -> Variable:
    """A variable of zeros."""
    return variable(np.zeros(shape, dtype or config.floatx()), name=name)


def ones(shape: Any, dtype: Any = None, name: str | None = None) -> Variable:
    """A variable of ones."""
    return variable(np.ones(shape, dtype or config.floatx()), name=name)


def eye(size: int, dtype: Any = None, name: str | None = None) -> Variable:
    """A variable with the identity matrix."""
    return variable(np.eye(size, dtype=dtype or config.floatx()), name=name)


def zeros_like(x: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Zeros of a tensor's shape."""
    return ops.zeros_like(x, dtype=dtype)


def ones_like(x: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Ones of a tensor's shape."""
    return ops.ones_like(x, dtype=dtype)


def arange(start: int, stop: int | None = None, step: int = 1, dtype: Any = "int32") -> Any:
    """Numbers from `start` to below `stop`."""
    return ops.arange(start, stop, step, dtype=dtype)


def random_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Normally distributed numbers."""
    return random.normal(tuple(shape), mean, stddev, dtype, seed)


def truncated_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Normally distributed numbers within two standard deviations."""
    return random.truncated_normal(tuple(shape), mean, stddev, dtype, seed)


def random_uniform(shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Uniformly distributed numbers."""
    return random.uniform(tuple(shape), minval, maxval, dtype, seed)


def random_bernoulli(shape: Any, p: float = 0.0, dtype: Any = None, seed: Any = None) -> Any:
    """Ones with probability p, else zeros."""
    return ops.cast(random.uniform(tuple(shape), seed=seed) <= p, dtype or config.floatx())


random_binomial = random_bernoulli
random_normal_variable = random_normal
random_uniform_variable = random_uniform


# -- element by element ------------------------------------------------------------------------------------------------


def sqrt(x: Any) -> Any:
    """Square roots, of zero where x is negative."""
    return ops.sqrt(ops.maximum(x, 0.0))


def clip(x: Any, min_value: Any, max_value: Any) -> Any:
    """x between two values, either of which may be None."""
    x = x if min_value is None else ops.maximum(x, min_value)
    return x if max_value is None else ops.minimum(x, max_value)


def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """`activations.relu`: with a slope below the threshold, and a largest value."""
    return kcore.activations.relu(x, negative_slope=alpha, max_value=max_value, threshold=threshold)


def hard_sigmoid(x: Any) -> Any:
    """That of Keras 2: 0.2 x + 0.5 between 0 and 1 (Keras 3 divides by 6)."""
    return ops.clip(x * 0.2 + 0.5, 0.0, 1.0)


def softmax(x: Any, axis: int = -1) -> Any:
    """Softmax over an axis."""
    return ops.softmax(x, axis=axis)


def dropout(x: Any, level: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """x with a share `level` of its elements zero and the others scaled."""
    return random.dropout(x, level, noise_shape, seed)


def l2_normalize(x: Any, axis: int | None = None) -> Any:
    """x over its Euclidean norm."""
    return x / ops.sqrt(ops.maximum(ops.sum(ops.square(x), axis=axis, keepdims=True), 1e-12))


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """One of two tensors, or of what two functions give, by a condition."""
    then, other = (f() if callable(f) else f for f in (then_expression, else_expression))
    condition = ops.cast(condition, "bool")
    return ops.where(ops.reshape(condition, (*condition.shape, *[1] * (ndim(then) - ndim(condition)))), then, other)


def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """`x` while training, else `alt`; `training` is the argument of ``call``."""
    if training is None or training is _PHASE:
        raise ValueError("K.in_train_phase needs training=, the argument of call(): there is no global learning phase")
    chosen = x if training else alt
    return chosen() if callable(chosen) else chosen


def in_test_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """`alt` while training, else `x`."""
    return in_train_phase(alt, x, training)


# -- over axes ---------------------------------------------------------------------------------------------------------


def _reduction(op: Callable[..., Any], floats: bool = False) -> Callable[..., Any]:
    def reduce(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        if floats and str(x.dtype) == "bool":
            x = ops.cast(x, config.floatx())
        return op(x, axis=axis, keepdims=keepdims)

    reduce.__doc__ = f"`ops.{op.__name__}` over axes, all if None."
    reduce.__name__ = op.__name__
    return reduce


#: By name, as Python's own `sum`, `max` and `any` are needed here.
_REDUCTIONS = {
    op.__name__: _reduction(op) for op in (ops.all, ops.any, ops.logsumexp, ops.max, ops.min, ops.prod, ops.sum)
}
_REDUCTIONS |= {op.__name__: _reduction(op, floats=True) for op in (ops.mean, ops.std, ops.var)}


def argmax(x: Any, axis: int = -1) -> Any:
    """Where the largest is."""
    return ops.argmax(x, axis=axis)


def argmin(x: Any, axis: int = -1) -> Any:
    """Where the smallest is."""
    return ops.argmin(x, axis=axis)


# -- shapes ------------------------------------------------------------------------------------------------------------


def shape(x: Any) -> Any:
    """The shape, whole numbers where it is known."""
    return ops.shape(x)


def flatten(x: Any) -> Any:
    """All elements in one axis."""
    return ops.reshape(x, (-1,))


def batch_flatten(x: Any) -> Any:
    """All axes but the first in one."""
    return ops.reshape(x, (-1, count_params(x[0]) if None not in x.shape[1:] else -1))


def permute_dimensions(x: Any, pattern: Sequence[int]) -> Any:
    """Axes in another order."""
    return ops.transpose(x, tuple(pattern))


def squeeze(x: Any, axis: int) -> Any:
    """Without an axis of length 1."""
    return ops.squeeze(x, axis=axis)


def concatenate(tensors: Sequence[Any], axis: int = -1) -> Any:
    """Tensors one behind the other."""
    return ops.concatenate(tensors, axis=axis)


def repeat(x: Any, n: int) -> Any:
    """(samples, features) to (samples, n, features)."""
    return ops.repeat(ops.expand_dims(x, 1), n, axis=1)


def repeat_elements(x: Any, rep: int, axis: int) -> Any:
    """Each element `rep` times, along an axis."""
    return ops.repeat(x, rep, axis=axis)


def reverse(x: Any, axes: int | Sequence[int]) -> Any:
    """Turned around along axes."""
    return ops.flip(x, axis=axes)


def gather(reference: Any, indices: Any) -> Any:
    """Rows by number."""
    return ops.take(reference, indices, axis=0)


def slice(x: Any, start: Sequence[int], size: Sequence[int]) -> Any:  # noqa: A001 - its name in Keras
    """A piece; a size of -1 goes to the end."""
    sizes = [n - i if s == -1 else s for n, i, s in zip(x.shape, start, size, strict=True)]
    return ops.slice(x, tuple(start), tuple(sizes))


def temporal_padding(x: Any, padding: tuple[int, int] = (1, 1)) -> Any:
    """Zeros around the middle axis of three."""
    return ops.pad(x, ((0, 0), tuple(padding), (0, 0)))


def spatial_2d_padding(x: Any, padding: Any = ((1, 1), (1, 1)), data_format: str | None = None) -> Any:
    """Zeros around images."""
    rows, columns = map(tuple, padding)
    first = (data_format or config.image_data_format()) == "channels_first"
    return ops.pad(x, ((0, 0), (0, 0), rows, columns) if first else ((0, 0), rows, columns, (0, 0)))


# -- products ----------------------------------------------------------------------------------------------------------


def dot(x: Any, y: Any) -> Any:
    """The last axis of x with the last but one of y."""
    return ops.matmul(x, y) if ndim(y) < 3 else ops.tensordot(x, y, axes=[[ndim(x) - 1], [ndim(y) - 2]])


def batch_dot(x: Any, y: Any, axes: Any = None) -> Any:
    """Products sample by sample, as `layers.dot`; two matrices give (samples, 1)."""
    if axes is None:
        axes = [ndim(x) - 1, ndim(y) - 2 if ndim(y) > 2 else 1]
    return kcore.layers.Dot(axes=axes if isinstance(axes, int) else tuple(axes))([x, y])


def bias_add(x: Any, bias: Any, data_format: str | None = None) -> Any:
    """x with a number added to each channel."""
    if (data_format or config.image_data_format()) == "channels_first" and ndim(x) > 2:
        bias = ops.reshape(bias, (-1, *[1] * (ndim(x) - 2)))
    return x + bias


# -- losses: the target first, one number per sample -------------------------------------------------------------------


def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Between one-hot targets and probabilities, or logits."""
    return ops.categorical_crossentropy(target, output, from_logits=from_logits, axis=axis)


def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Between numbers of classes and probabilities, or logits."""
    return ops.sparse_categorical_crossentropy(target, output, from_logits=from_logits, axis=axis)


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """Between targets and probabilities, or logits, element by element."""
    return ops.binary_crossentropy(target, output, from_logits=from_logits)
