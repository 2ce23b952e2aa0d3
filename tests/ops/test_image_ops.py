"""`ops.image` beside Keras's: colours, frames, patches, geometry and filters; traced, symbolic, gradients, messages.

Keras's NumPy engine reads beyond the border as SciPy does for `sobel_edges`, and ignores the projective terms of
`affine_transform`: values of those are Keras's on JAX or TensorFlow, with the command beside them.
"""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import ops
from kcore.ops.image.sampling import FILL_MODES
from kcore.runtime import GradientTape, convert_to_tensor, function
from kcore.runtime.tensor import KerasTensor

keras = pytest.importorskip("keras")
rng = np.random.default_rng(3)
RGB = rng.uniform(0, 1, (2, 5, 6, 3)).astype("float32")
BYTES = rng.integers(0, 256, (2, 5, 6, 3)).astype("uint8")
FIRST = np.moveaxis(RGB, -1, 1).copy()
VOLUMES = rng.uniform(-1, 1, (2, 4, 5, 6, 2)).astype("float32")
AFFINE = np.array([[1.1, 0.2, -1.0, -0.3, 0.9, 0.71, 0, 0], [0.8, 0, 0.25, 0.1, 1.3, -1.2, 0, 0]], "float32")
PLACES = rng.uniform(-7, 12, (2, 4, 3)).astype("float32")
START = np.array([[[0, 0], [0, 5], [6, 0], [6, 5]], [[1, 0], [0, 4], [5, 1], [6, 5]]], "float32")
END = np.array([[[0.5, 1], [0, 4.5], [5, -1], [7, 5]], [[0, 0], [1, 5], [6, 0], [4, 4]]], "float32")
LINE = np.arange(12, dtype="float32").reshape(3, 4)
TWO, LITTLE = np.array([2.0, 0.5], "float32"), np.array([0.3, -0.2], "float32")

CASES = [
    ("rgb_to_grayscale", (RGB,), {}),
    ("rgb_to_grayscale", (RGB[0],), {}),
    ("rgb_to_grayscale", (FIRST,), {"data_format": "channels_first"}),
    ("rgb_to_grayscale", (RGB[..., :1],), {}),
    ("rgb_to_grayscale", (RGB.astype("float16"),), {}),
    ("rgb_to_hsv", (RGB,), {}),
    ("rgb_to_hsv", (np.round(RGB * 2) / 2,), {}),  # equal colours and greys
    ("rgb_to_hsv", (FIRST,), {"data_format": "channels_first"}),
    ("rgb_to_hsv", (RGB.astype("float16"),), {}),
    ("hsv_to_rgb", (RGB,), {}),
    ("hsv_to_rgb", (RGB[0] * 2 - 1,), {}),
    ("hsv_to_rgb", (FIRST,), {"data_format": "channels_first"}),
    ("crop_images", (RGB, 1, 2, 1, 0), {}),
    ("crop_images", (RGB, None, None, 1, 0), {"target_height": 2, "target_width": 3}),
    ("crop_images", (FIRST, 0, 1), {"target_height": 4, "target_width": 5, "data_format": "channels_first"}),
    ("crop_images", (BYTES[0], 0, 0), {"target_height": 5, "target_width": 6}),
    ("pad_images", (RGB, 1, 2, 1, 0), {}),
    ("pad_images", (RGB, None, None, 1, 0), {"target_height": 8, "target_width": 6}),
    ("pad_images", (FIRST, 0, 1), {"target_height": 6, "target_width": 9, "data_format": "channels_first"}),
    ("pad_images", (BYTES[0], 2, 0), {"target_height": 7, "target_width": 6}),
    ("extract_patches", (RGB, 2), {}),
    ("extract_patches", (RGB, (2, 3)), {"strides": (1, 2), "padding": "same"}),
    ("extract_patches", (RGB[0], 3), {"strides": 1, "dilation_rate": 2}),
    ("extract_patches", (FIRST, (2, 2)), {"strides": 2, "data_format": "channels_first"}),
    ("extract_patches", (VOLUMES, (2, 2, 3)), {}),
    ("extract_patches_3d", (VOLUMES, 2), {"strides": (1, 2, 2)}),
    ("extract_patches_3d", (VOLUMES[0], (3, 2, 2)), {"padding": "same"}),
    ("gaussian_blur", (RGB,), {"data_format": "channels_last"}),
    ("gaussian_blur", (RGB[0], (5, 2), (0.7, 2.0)), {"data_format": "channels_last"}),
    ("gaussian_blur", (FIRST, (1, 3)), {"data_format": "channels_first"}),
    ("gaussian_blur", (RGB.astype("float16"),), {"data_format": "channels_last"}),
    *(
        ("map_coordinates", (RGB[0, :, :, 0], PLACES, order), {"fill_mode": mode, "fill_value": 0.5})
        for mode in FILL_MODES
        for order in (0, 1)
    ),
    ("map_coordinates", (BYTES[0, :, :, 0].astype("int32"), PLACES, 1), {"fill_mode": "nearest"}),
    ("map_coordinates", (LINE[0], [PLACES[0]], 1), {"fill_mode": "mirror"}),
    *(("affine_transform", (RGB, AFFINE), {"fill_mode": mode, "fill_value": 0.25}) for mode in FILL_MODES),
    ("affine_transform", (RGB, AFFINE), {"interpolation": "nearest"}),
    ("affine_transform", (RGB[0], AFFINE[1]), {}),
    ("affine_transform", (FIRST, AFFINE), {"data_format": "channels_first"}),
    ("affine_transform", (RGB.astype("float16"), AFFINE), {}),
    ("perspective_transform", (RGB, START, END), {"fill_value": 0.5}),
    ("perspective_transform", (RGB, START, END), {"interpolation": "nearest"}),
    ("perspective_transform", (RGB[0], START[1], END[1]), {}),
    ("perspective_transform", (FIRST, START, END), {"data_format": "channels_first"}),
    *(
        ("scale_and_translate", (LINE, (5, 3), TWO, LITTLE, (0, 1), method), {"antialias": antialias})
        for method in ("linear", "cubic", "lanczos3", "lanczos5")
        for antialias in (True, False)
    ),
    ("scale_and_translate", (RGB, (2, 8, 6, 3), TWO[:1], LITTLE[:1], (1,), "bilinear"), {}),
    ("scale_and_translate", (LINE.astype("int32"), (5, 3), TWO, LITTLE, (0, 1), "cubic"), {}),
    ("ssim", (RGB, RGB[::-1].copy()), {"filter_size": 3}),
    ("ssim", (RGB[0], RGB[1]), {"filter_size": 5, "filter_sigma": 0.8, "k1": 0.02}),
    ("ssim", (FIRST, FIRST * 0.5), {"filter_size": 4, "data_format": "channels_first"}),
    ("ssim", (RGB * 255, RGB * 250), {"filter_size": 3, "max_val": 255.0}),
]
IDS = [f"{i}-{name}" for i, (name, *_) in enumerate(CASES)]


@pytest.mark.parametrize("name, arguments, config", CASES, ids=IDS)
def test_image_ops_are_keras_s_eager_and_traced(name, arguments, config):
    wanted = np.asarray(getattr(keras.ops.image, name)(*arguments, **config))
    call = getattr(ops.image, name)
    got = call(*arguments, **config)
    assert (tuple(got.shape), got.dtype) == (wanted.shape, wanted.dtype.name)
    tolerance = 4e-3 if wanted.dtype == "float16" else 3e-5
    np.testing.assert_allclose(got.numpy().astype("float64"), wanted.astype("float64"), rtol=tolerance, atol=tolerance)
    arrays = [i for i, a in enumerate(arguments) if isinstance(a, np.ndarray)]

    def traced(*given):
        values = list(arguments)
        for i, x in zip(arrays, given, strict=True):
            values[i] = x
        return call(*values, **config)

    compiled = function(traced)(*(arguments[i] for i in arrays))
    np.testing.assert_allclose(
        compiled.numpy().astype("float64"), got.numpy().astype("float64"), rtol=tolerance, atol=tolerance
    )


def test_bytes_to_grey_are_cut_off_as_keras_does():
    got, wanted = ops.image.rgb_to_grayscale(BYTES).numpy(), keras.ops.image.rgb_to_grayscale(BYTES)
    assert got.dtype == wanted.dtype and np.abs(got.astype(int) - wanted.astype(int)).max() <= 1


def test_sobel_edges_are_those_of_keras_on_jax():
    """KERAS_BACKEND=jax python -c 'import keras, numpy as np; x = (np.arange(9.0, dtype="float32") ** 2);
    print(keras.ops.image.sobel_edges(x.reshape(1, 3, 3, 1))[..., 0, :])'"""
    x = (np.arange(9.0, dtype="float32") ** 2).reshape(1, 3, 3, 1)
    edges = ops.image.sobel_edges(x)
    down, across = edges.numpy()[0, :, :, 0, 0], edges.numpy()[0, :, :, 0, 1]
    np.testing.assert_array_equal(down, [[34, 66, 66], [120, 192, 168], [-34, -66, -66]])
    np.testing.assert_array_equal(across, [[18, 24, -18], [82, 64, -82], [114, 72, -114]])
    first = ops.image.sobel_edges(np.moveaxis(x, -1, 1), data_format="channels_first")
    np.testing.assert_array_equal(first.numpy()[:, 0], edges.numpy()[..., 0, :])


def test_affine_transform_with_projective_terms_is_keras_s_on_tensorflow():
    """KERAS_BACKEND=tensorflow python -c 'import keras, numpy as np; x = np.arange(16.0, dtype="float32");
    t = np.array([[1, 0.25, -0.5, 0, 1.5, 0.25, 0.1, -0.05]], "float32");
    print(keras.ops.image.affine_transform(x.reshape(1, 4, 4, 1), t, fill_value=-1)[0, ..., 0])'"""
    x = np.arange(16.0, dtype="float32").reshape(1, 4, 4, 1)
    t = np.array([[1, 0.25, -0.5, 0, 1.5, 0.25, 0.1, -0.05]], "float32")
    wanted = [
        [0.0, 1.3636364, 2.0833335, 2.6923077],
        [5.166205, 7.380953, 7.608695, 7.799999],
        [4.055555, 9.5, 13.636363, 13.333333],
        [-1.0, -1.0, -1.0, -1.0],
    ]
    got = ops.image.affine_transform(x, t, fill_value=-1).numpy()[0, ..., 0]
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def test_one_transform_serves_a_batch():
    both = ops.image.affine_transform(RGB, AFFINE[0]).numpy()
    one = ops.image.perspective_transform(RGB, START[1], END[1]).numpy()
    for i in range(2):
        np.testing.assert_allclose(both[i], ops.image.affine_transform(RGB[i], AFFINE[0]).numpy(), atol=1e-6)
        np.testing.assert_allclose(one[i], ops.image.perspective_transform(RGB[i], START[1], END[1]).numpy(), atol=1e-5)


def test_a_blur_takes_tensors_for_its_width_and_rounds_integers():
    sigma = np.array([0.7, 2.0], "float32")
    fixed = ops.image.gaussian_blur(RGB, (5, 3), (0.7, 2.0)).numpy()
    np.testing.assert_allclose(
        function(lambda s: ops.image.gaussian_blur(RGB, (5, 3), s))(sigma).numpy(), fixed, atol=1e-6
    )
    blurred = ops.image.gaussian_blur(BYTES, (5, 3), (0.7, 2.0))
    exact = ops.image.gaussian_blur(BYTES.astype("float32"), (5, 3), (0.7, 2.0)).numpy()
    assert blurred.dtype == "uint8" and np.abs(blurred.numpy() - exact).max() <= 0.5001


def test_elastic_transform_moves_pixels_as_its_seed_says():
    x = rng.uniform(0, 1, (2, 12, 10, 3)).astype("float32")
    y = ops.image.elastic_transform(x, alpha=30.0, sigma=2.0, seed=4).numpy()
    again = function(lambda x: ops.image.elastic_transform(x, alpha=30.0, sigma=2.0, seed=4))(x).numpy()
    np.testing.assert_allclose(again, y, atol=1e-5)
    assert np.abs(y - x).max() > 0.1 and y.min() >= x.min() - 1e-6 and y.max() <= x.max() + 1e-6
    assert np.abs(y - ops.image.elastic_transform(x, alpha=30.0, sigma=2.0, seed=5).numpy()).max() > 0.1
    np.testing.assert_allclose(ops.image.elastic_transform(x, alpha=0.0, sigma=2.0).numpy(), x, atol=1e-6)
    first = ops.image.elastic_transform(np.moveaxis(x, -1, 1), 30.0, 2.0, seed=4, data_format="channels_first")
    np.testing.assert_allclose(np.moveaxis(first.numpy(), 1, -1), y, atol=1e-6)
    assert ops.image.elastic_transform(BYTES[0], sigma=1.0, seed=0).dtype == "uint8"


GRADIENTS = [
    ("rgb_to_hsv", lambda x: ops.image.rgb_to_hsv(x), RGB),
    ("hsv_to_rgb", lambda x: ops.image.hsv_to_rgb(x), RGB * 0.8 + 0.1),
    ("affine_transform", lambda x: ops.image.affine_transform(x, AFFINE, fill_mode="reflect"), RGB),
    ("affine_transform of the map", lambda t: ops.image.affine_transform(RGB.astype("float64"), t), AFFINE + 0.0137),
    ("perspective_transform", lambda p: ops.image.perspective_transform(RGB.astype("float64"), p, END), START + 0.01),
    ("gaussian_blur", lambda x: ops.image.gaussian_blur(x, (3, 4)), RGB),
    ("extract_patches", lambda x: ops.image.extract_patches(x, 3, strides=2, padding="same"), RGB),
    ("ssim", lambda x: ops.image.ssim(x, RGB.astype("float64"), filter_size=3), RGB[::-1] * 0.9),
    ("scale", lambda s: ops.image.scale_and_translate(LINE.astype("float64"), (5, 3), s, LITTLE, (0, 1), "cubic"), TWO),
]


@pytest.mark.parametrize("call, x", [g[1:] for g in GRADIENTS], ids=[g[0] for g in GRADIENTS])
def test_gradients_are_finite_differences(call, x):
    x = x.astype("float64")
    weights = rng.uniform(0.5, 1.5, call(x).shape)
    direction = rng.uniform(-1, 1, x.shape)

    def gradient(x):
        with GradientTape() as tape:
            tape.watch(x)
            y = ops.sum(call(x) * weights)
        return tape.gradient(y, x)

    slope = np.vdot(function(gradient)(x).numpy(), direction)
    np.testing.assert_allclose(np.vdot(gradient(convert_to_tensor(x)).numpy(), direction), slope, rtol=1e-8)
    step = 1e-6
    ends = [float(np.vdot(call(x + s * step * direction).numpy(), weights)) for s in (1, -1)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), rtol=2e-4, atol=1e-5)


SYMBOLIC = [
    (lambda x: ops.image.rgb_to_grayscale(x), (None, 5, 6, 1)),
    (lambda x: ops.image.rgb_to_hsv(x), (None, 5, 6, 3)),
    (lambda x: ops.image.crop_images(x, 1, 1, 1, 1), (None, 3, 4, 3)),
    (lambda x: ops.image.pad_images(x, 1, 1, target_height=9, target_width=9), (None, 9, 9, 3)),
    (lambda x: ops.image.extract_patches(x, 2), (None, 2, 3, 12)),
    (lambda x: ops.image.gaussian_blur(x), (None, 5, 6, 3)),
    (lambda x: ops.image.sobel_edges(x), (None, 5, 6, 3, 2)),
    (lambda x: ops.image.affine_transform(x, AFFINE[0]), (None, 5, 6, 3)),
    (lambda x: ops.image.perspective_transform(x, START[0], END[0]), (None, 5, 6, 3)),
    (lambda x: ops.image.ssim(x, x, filter_size=3), (None,)),
    (lambda x: ops.image.resize(x, (2, 2)), (None, 2, 2, 3)),
]


@pytest.mark.parametrize("call, shape", SYMBOLIC)
def test_image_ops_are_steps_of_a_functional_model(call, shape):
    inputs = kcore.Input((5, 6, 3))
    outputs = call(inputs)
    assert tuple(outputs.shape) == shape
    model = kcore.Model(inputs, outputs)
    np.testing.assert_allclose(model.predict(RGB, verbose=0), call(RGB).numpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["crop_images", "pad_images"])
def test_frames_of_images_of_unknown_size_have_the_sizes_that_are_known(name):
    call, x = getattr(ops.image, name), KerasTensor((None, None, 6, 3), "float32")
    kind = name[:4] + "ping" if name[0] == "c" else "padding"
    sizes = {"target_height": 2, "target_width": 4 if kind == "cropping" else 8}
    known = call(x, **{f"bottom_{kind}": 1, f"left_{kind}": 1}, **sizes)
    assert tuple(known.shape) == (None, 2, sizes["target_width"], 3)
    assert tuple(call(x, 1, 1, 1, 1).shape) == (None, None, 4 if kind == "cropping" else 8, 3)


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: ops.image.rgb_to_grayscale(RGB[..., :2]),
            "rgb_to_grayscale: expected images with 3 channels, or 1",
        ),
        (lambda: ops.image.rgb_to_hsv(BYTES), "rgb_to_hsv: expected images of a floating-point dtype; received uint8"),
        (
            lambda: ops.image.hsv_to_rgb(RGB[0, 0]),
            r"hsv_to_rgb: expected an image \(rank 3\).* shape \(6, 3\)",
        ),
        (
            lambda: ops.image.crop_images(RGB, 1, 1),
            "crop_images: expected exactly two of top_cropping, bottom",
        ),
        (lambda: ops.image.crop_images(RGB, 3, 0, 3, 0), "images of 5 there do not allow .* makes target_height=-1"),
        (lambda: ops.image.pad_images(RGB, 1, 1, -1, 1), "pad_images: expected non-negative numbers; received .*=-1"),
        (lambda: ops.image.pad_images(RGB, 1, 1, target_height=4, target_width=8), "makes bottom_padding=-2"),
        (lambda: ops.image.extract_patches(RGB, 9), "extract_patches: the window does not fit: it covers 9 elements"),
        (lambda: ops.image.extract_patches(RGB, (1, 0)), "extract_patches: expected size to be one or 2 integers"),
        (lambda: ops.image.extract_patches_3d(RGB[0], 2), "extract_patches_3d: expected inputs of rank 4, or 5"),
        (lambda: ops.image.gaussian_blur(RGB, (3,)), "gaussian_blur: expected kernel_size to be one or 2 integers"),
        (lambda: ops.image.sobel_edges(RGB[0]), r"sobel_edges: expected a batch of images \(rank 4\)"),
        (
            lambda: ops.image.map_coordinates(RGB, PLACES, 1),
            r"rank of inputs.*shape \(2, 4, 3\) for inputs of",
        ),
        (lambda: ops.image.map_coordinates(RGB[0, 0], PLACES, 2), "expected order to be 0 or 1; received 2"),
        (lambda: ops.image.map_coordinates(RGB[0, 0], PLACES, 1, "edge"), "expected fill_mode to be one of .*'edge'"),
        (lambda: ops.image.affine_transform(RGB, AFFINE[:, :6]), r"expected transform to be \(8,\) or \(batch, 8\)"),
        (lambda: ops.image.affine_transform(RGB, AFFINE, "cubic"), "expected interpolation to be one of .*'cubic'"),
        (
            lambda: ops.image.perspective_transform(RGB, START[:, :3], END),
            r"start_points to be \(4, 2\) or \(batch,",
        ),
        (lambda: ops.image.perspective_transform(RGB, START[0], END), "start_points and end_points of one shape"),
        (lambda: ops.image.elastic_transform(RGB, fill_mode="edge"), "elastic_transform: expected fill_mode"),
        (
            lambda: ops.image.scale_and_translate(LINE, (5, 3), TWO, LITTLE, (0,), "cubic"),
            "one for each of spatial_dims",
        ),
        (lambda: ops.image.scale_and_translate(LINE, (5,), TWO, LITTLE, (0, 1), "cubic"), "an output_shape of rank 2"),
        (
            lambda: ops.image.scale_and_translate(LINE, (5, 3), TWO, LITTLE, (0, 1), "area"),
            "expected method to be one of",
        ),
        (lambda: ops.image.ssim(RGB, LINE), r"ssim: expected an image .* as image2; received shape \(3, 4\)"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
