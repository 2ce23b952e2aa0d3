"""Ops among the steps of a functional model, in the form in which Keras saves its operations, and back."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Set
from typing import Any

from kcore import ops
from kcore.graph.op import OPS
from kcore.models.calls import Call
from kcore.naming import did_you_mean, to_snake_case

#: Where Keras keeps the classes of its operations, and where kcore says that an op is its own.
KERAS_MODULES = ("keras.src.ops.", "keras.ops")
OWN_MODULE = "kcore.ops"

#: Keras's modules that are not "numpy", and the operations in them that kcore has or may have.
_MODULES: dict[str, str] = {
    "core": "cast saturate_cast convert_to_tensor scatter scatter_update slice slice_update stop_gradient unstack",
    "math": "segment_sum segment_max segment_min segment_prod top_k in_top_k logsumexp extract_sequences fft fft2 "
    "ifft2 rfft irfft stft istft rsqrt erf erfc erfinv logdet view_as_complex view_as_real cdist",
    "nn": "relu relu6 sigmoid sparse_sigmoid softplus softsign soft_shrink sparse_plus silu squareplus log_sigmoid "
    "leaky_relu hard_sigmoid hard_silu elu selu gelu celu glu tanh_shrink hard_tanh hard_shrink threshold softmax "
    "log_softmax sparsemax max_pool adaptive_max_pool average_pool adaptive_average_pool conv depthwise_conv "
    "separable_conv conv_transpose one_hot binary_crossentropy categorical_crossentropy "
    "sparse_categorical_crossentropy multi_hot moments normalize psnr dot_product_attention polar unfold fold "
    "depth_to_space space_to_depth ctc_decode",
    "linalg": "cholesky cholesky_inverse det eig eigh inv lu_factor norm qr solve solve_triangular svd lstsq "
    "matrix_rank pinv",
    "image": "affine_transform crop_images elastic_transform extract_patches extract_patches_3d gaussian_blur "
    "hsv_to_rgb map_coordinates pad_images perspective_transform resize rgb_to_grayscale rgb_to_hsv sobel_edges ssim",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}

#: Parameters that Keras's operations are given in their call; the others are kept in their configuration.
_CALLED = frozenset(
    "a angle array atol b bias bins choicelist condition condlist constant_values coordinates data default "
    "depthwise_kernel elements end_points fill_value image1 image2 images index indices inputs kernel key mask "
    "operands output output_length pointwise_kernel predictions q query rtol segment_ids sequence_lengths start "
    "start_indices start_points step stop target target_length targets transform updates value values variable "
    "volumes weights x x1 x2 xs y".split()
)
#: Those of them that operations of a module, or one operation, have in their configuration all the same.
_KEPT = {"image": {"fill_value"}, "unique": {"fill_value"}, "histogram": {"bins"}, "trapezoid": {"x"}}
#: Classes that Keras does not write as the capitalized name of their function.
_CLASSES = {
    "searchsorted": "SearchSorted",
    "svd": "SVD",
    "fft": "FFT",
    "fft2": "FFT2",
    "ifft2": "IFFT2",
    "psnr": "PSNR",
    "ctc_decode": "CTCDecode",
    "allclose": "AllClose",
    "cdist": "CDist",
    "isin": "IsIn",
    "rgb_to_grayscale": "RGBToGrayscale",
    "rgb_to_hsv": "RGBToHSV",
    "hsv_to_rgb": "HSVToRGB",
    "extract_patches_3d": "ExtractPatches3D",
    "ssim": "SSIM",
}
_CLASSES.update(psnr="PSNR", rfft="RFFT", irfft="IRFFT", stft="STFT", istft="ISTFT")
_FUNCTIONS = {name: function for function, name in _CLASSES.items()}


def _function(name: str) -> Callable[..., Any] | None:
    return next((getattr(room, name) for room in (ops, ops.image) if name in room.__all__), None)


def describe(call: Call) -> tuple[dict[str, Any], tuple, dict[str, Any]]:
    """An op's entry in a model's configuration, and the arguments of its call.

    An op of Keras's name is written as Keras's operation, so that Keras can load it; another one by its own name.
    """
    operation, name = call.operation, call.operation.op.name
    if name != "get_item" and not _is_keras_s(name):
        entry = {"module": OWN_MODULE, "class_name": name, "config": {"name": operation.name}}
        return {**entry, "registered_name": None}, call.args, call.kwargs
    args, config = call.args, {"name": operation.name}
    if name != "get_item":
        kept = _KEPT.get(name, set()) | _KEPT.get(_MODULE_OF.get(name, "numpy"), set())
        args, attrs = _taken_apart(_function(name), call, _CALLED - kept)
        config.update(attrs)
    cls = _CLASSES.get(name) or "".join(part.capitalize() for part in name.split("_"))
    entry = {"module": f"{KERAS_MODULES[0]}{_MODULE_OF.get(name, 'numpy')}", "class_name": cls, "config": config}
    return {**entry, "registered_name": cls}, args, {}


def _is_keras_s(name: str) -> bool:
    """Whether Keras has an operation of the name: all of `kcore.ops` but ops of plugins and inner ones."""
    return _function(name) is not None and name not in OPS_OF_KCORE


#: Functions of `kcore.ops` that Keras does not have, or has as a function that makes several operations.
OPS_OF_KCORE = frozenset(
    "getitem divide_no_nan batch_normalization layer_normalization rms_normalization rearrange "
    "scale_and_translate".split()
)


def _taken_apart(function: Any, call: Call, called: Set[str]) -> tuple[tuple, dict[str, Any]]:
    """The arguments of a call, and those that Keras keeps in the configuration."""
    bound = inspect.signature(function).bind(*call.args, **call.kwargs)
    bound.apply_defaults()
    args: list[Any] = []
    attrs: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        value = bound.arguments[name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            args += value
        elif parameter.kind is not parameter.VAR_KEYWORD and name in called:
            args.append(value)
        elif parameter.kind is not parameter.VAR_KEYWORD:
            attrs[name] = value
    while args and args[-1] is None:  # an argument that was not given
        args.pop()
    return tuple(args), attrs


def is_operation(described: Mapping[str, Any]) -> bool:
    """Whether an entry of a model's configuration is an op rather than a layer."""
    module = described.get("module") or ""
    return module == OWN_MODULE or module.startswith(KERAS_MODULES)


def make(described: Mapping[str, Any]) -> Callable[..., Any]:
    """The function an entry stands for, to be called with the arguments of its call.

    Raises:
        ValueError: there is no such op here.
    """
    cls, attrs = described["class_name"], {k: v for k, v in described["config"].items() if k != "name"}
    if cls == "GetItem":
        return lambda x, key: x[tuple(key) if isinstance(key, list) else key]
    if described["module"] == OWN_MODULE:
        found = _function(cls) or next((op for op in OPS if op.name == cls), None)
        if found is None:
            raise ValueError(f"the model uses an op {cls!r} that kcore.ops does not have{did_you_mean(cls, vars(ops))}")
        return found
    name = _FUNCTIONS.get(cls) or to_snake_case(cls)
    function = _function(name)
    if function is None:
        near = did_you_mean(name, vars(ops))
        raise ValueError(f"the model uses Keras's operation {cls}, which kcore.ops does not have{near}")

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*_in_order(function, args, attrs), **{k: v for k, v in kwargs.items() if v is not None})

    return call


def _in_order(function: Callable[..., Any], args: tuple, attrs: dict[str, Any]) -> list[Any]:
    """Arguments of a call among those kept in the configuration, in the order of the function's parameters."""
    rest, found = list(args), []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            found += rest
            rest = []
        elif parameter.name in attrs:
            found.append(attrs[parameter.name])
        elif rest:
            found.append(rest.pop(0))
        else:
            break
    return found
