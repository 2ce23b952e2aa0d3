"""Functions of kcore.ops as steps of functional models: run again with known sizes, and exchanged with Keras."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

import kcore

MATRIX = np.arange(12, dtype="float32").reshape(6, 2)
STEPS = {
    "arithmetic": lambda o, x: abs(x) / 3 + x**2 - (-x) * 1.5 + (2 - x),
    "comparison": lambda o, x: o.where(o.logical_and(x > 0, x < 1), x, 0.0),
    "sum": lambda o, x: o.sum(x, axis=1, keepdims=True),
    "max": lambda o, x: o.max(x, axis=(1, 2)),
    "var": lambda o, x: o.var(x, axis=-1),
    "logsumexp": lambda o, x: o.logsumexp(x, axis=-1),
    "argmax": lambda o, x: o.one_hot(o.argmax(x, axis=-1), 6),
    "concatenate": lambda o, x: o.concatenate([x, 2 * x], axis=-1),
    "stack": lambda o, x: o.stack([x, x], 1),
    "reshape": lambda o, x: o.reshape(x, (-1, 24)),
    "transpose": lambda o, x: x @ o.transpose(x, (0, 2, 1)),
    "matmul": lambda o, x: o.matmul(x, MATRIX),
    "dot": lambda o, x: o.dot(x, MATRIX),
    "einsum": lambda o, x: o.einsum("abc,abd->acd", x, x),
    "slices": lambda o, x: x[:, 1:3, ::2],
    "indices": lambda o, x: x[:, -1] + x[..., 0][:, None, 0],
    "squeeze": lambda o, x: o.squeeze(o.expand_dims(x, 1), 1),
    "split": lambda o, x: o.split(x, 2, axis=1)[1],
    "tile": lambda o, x: o.tile(x, (1, 2, 1)),
    "repeat": lambda o, x: o.repeat(x, 2, axis=1),
    "pad": lambda o, x: o.pad(x, ((0, 0), (1, 0), (0, 0))),
    "take": lambda o, x: o.take(x, [0, 1], axis=1),
    "flip": lambda o, x: o.flip(x, 1),
    "clip": lambda o, x: o.clip(x, 0, 1),
    "softmax": lambda o, x: o.softmax(x, axis=1) + o.log_softmax(x),
    "activations": lambda o, x: o.gelu(o.leaky_relu(x, 0.3)) + o.elu(x, 0.5) + o.sigmoid(o.relu(x)),
    "cumsum": lambda o, x: o.cumsum(x, 1),
    "cast": lambda o, x: o.cast(o.cast(x, "int32"), "float32") + o.cast(o.saturate_cast(x * 99, "uint8"), "float32"),
    "functions": lambda o, x: o.arcsinh(x) + o.exp2(x) * o.erfc(x) + o.log2(o.hypot(x, x) + 1) + o.i0(x) + o.sinc(x),
    "bits": lambda o, x: o.gcd(o.cast(x * 99, "int32"), o.bitwise_not(o.cast(x * 9, "int32"))),
    "closeness": lambda o, x: o.where(o.isclose(x, 1.0, rtol=0.5), o.nan_to_num(x, nan=1.0), o.fmax(x, 0.5)),
    "membership": lambda o, x: o.cast(o.isin(x, [0.0, 1.0]), "float32") + o.cast(o.signbit(x), "float32"),
    "bins": lambda o, x: o.digitize(x, np.array([-1.0, 0.0, 0.5], "float32")),
    "quantile": lambda o, x: o.quantile(x, 0.3, axis=1) + o.nanmedian(x, axis=1) + o.nanmean(x, axis=1),
    "running": lambda o, x: o.cumprod(x, axis=1) + o.nancumsum(x, axis=1) + o.append(o.diff(x), x[..., :1], axis=-1),
    "area": lambda o, x: o.trapezoid(x, dx=0.5, axis=1) + o.average(x, axis=1) + o.ptp(x, axis=1),
    "arranging": lambda o, x: o.roll(x, 1, axis=1) + o.rot90(o.rot90(x, axes=(1, 2)), 3, axes=(1, 2)) + o.fliplr(x),
    "stacking": lambda o, x: o.hstack(o.array_split(x, 3, axis=1)) + o.diagonal(x, 1, axis1=1, axis2=2)[:, None, :1],
    "distances": lambda o, x: o.cdist(x, x + 1) + o.inner(x, x[0, :2])[..., :1],
    "unique": lambda o, x: o.unique(x, size=50, axis=None),
}

#: The same for factorizations, transforms and segments.
MATRICES = {
    "cholesky": lambda o, x: o.cholesky(o.matmul(o.transpose(x, (0, 2, 1)), x) + o.eye(6), upper=True),
    "svd": lambda o, x: o.svd(x, full_matrices=False)[1] + o.svd(x, compute_uv=False),
    "solve": lambda o, x: o.solve(o.matmul(x, o.transpose(x, (0, 2, 1))) + o.eye(4), x),
    "logdet": lambda o, x: o.logdet(o.matmul(x, o.transpose(x, (0, 2, 1))) + o.eye(4)),
    "rfft": lambda o, x: o.irfft(o.rfft(x, 8), 8),
    "stft": lambda o, x: o.istft(o.stft(x, 4, 2, 4), 4, 2, 4),
    "extract_sequences": lambda o, x: o.extract_sequences(x, 3, 2),
    "segments": lambda o, x: o.segment_sum(x, np.array([0, 1], "int32"), num_segments=2),
    "update": lambda o, x: o.slice_update(x, (0, 1, 2), np.ones((1, 2, 2), "float32")),
    "trace": lambda o, x: o.trace(x, offset=1, axis1=1, axis2=2),
    "psnr": lambda o, x: o.psnr(x, x * x, 1.0),
    "decode": lambda o, x: o.ctc_decode(x, np.array([4, 3], "int32"))[0],
}


@pytest.mark.parametrize("step", MATRICES.values(), ids=MATRICES.keys())
@pytest.mark.parametrize(("maker", "reader"), [(kcore, keras), (keras, kcore)], ids=["to Keras", "from Keras"])
def test_configurations_with_matrices_and_signals_are_exchanged(step, maker, reader):
    x = maker.Input((4, 6), batch_size=2, name="x")
    made = maker.Model(x, step(maker.ops, x))
    read = reader.Model.from_config(json.loads(json.dumps(made.get_config())))
    value = np.random.default_rng(0).normal(size=(2, 4, 6)).astype("float32")
    expected = np.asarray(step(keras.ops, value))
    np.testing.assert_allclose(np.asarray(made(value)), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.asarray(read(value)), expected, rtol=1e-4, atol=1e-4)


def test_rearranged_axes_are_saved_by_kcore_s_own_name():
    x = kcore.Input((4, 6))
    made = kcore.Model(x, kcore.ops.rearrange(x, "b (h k) c -> b h (k c)", k=2))
    read = kcore.Model.from_config(json.loads(json.dumps(made.get_config())))
    value = np.random.default_rng(0).normal(size=(2, 4, 6)).astype("float32")
    np.testing.assert_array_equal(np.asarray(read(value)), value.reshape(2, 2, 12))


#: The same for images of shape (6, 8, 3).
IMAGES = {
    "resize": lambda o, x: o.image.resize(x, (3, 5), antialias=True),
    "colours": lambda o, x: o.image.hsv_to_rgb(o.image.rgb_to_hsv(o.image.rgb_to_grayscale(x) * x)),
    "frames": lambda o, x: o.image.pad_images(o.image.crop_images(x, 1, 1, 1, 1), 0, 2, 1, 0),
    "affine": lambda o, x: o.image.affine_transform(x, np.array([[0.9, 0.1, 0, 0, 1, 1, 0, 0]] * 2, "float32")),
    "patches": lambda o, x: o.image.extract_patches(x, 2),
    "blur": lambda o, x: o.image.gaussian_blur(x, (3, 3), (0.7, 0.7), data_format="channels_last"),
    "ssim": lambda o, x: o.image.ssim(x, x * x, filter_size=3),
}


@pytest.mark.parametrize("step", IMAGES.values(), ids=IMAGES.keys())
@pytest.mark.parametrize(("maker", "reader"), [(kcore, keras), (keras, kcore)], ids=["to Keras", "from Keras"])
def test_configurations_with_images_are_exchanged(step, maker, reader):
    x = maker.Input((6, 8, 3), batch_size=2, name="x")
    made = maker.Model(x, step(maker.ops, x))
    read = reader.Model.from_config(json.loads(json.dumps(made.get_config())))
    value = np.random.default_rng(0).uniform(size=(2, 6, 8, 3)).astype("float32")
    expected = np.asarray(step(keras.ops, value))
    np.testing.assert_allclose(np.asarray(made(value)), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.asarray(read(value)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
@pytest.mark.parametrize(("maker", "reader"), [(kcore, keras), (keras, kcore)], ids=["to Keras", "from Keras"])
def test_configurations_are_exchanged(step, maker, reader):
    x = maker.Input((4, 6), name="x")
    made = maker.Model(x, step(maker.ops, x))
    read = reader.Model.from_config(json.loads(json.dumps(made.get_config())))
    value = np.random.default_rng(0).normal(size=(2, 4, 6)).astype("float32")
    expected = np.asarray(step(keras.ops, value))
    np.testing.assert_allclose(np.asarray(made(value)), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.asarray(read(value)), expected, rtol=1e-5, atol=1e-5)


def test_steps_have_keras_s_names_and_come_in_its_order():
    def names(lib):
        x = lib.Input((4, 6), name="x")
        y = lib.ops.expand_dims(lib.ops.relu(x), 1)
        return [o.name for o in lib.Model(x, lib.ops.relu(y)[:, 0] + 1.0).operations]

    keras.backend.clear_session(free_memory=False)
    assert names(kcore) == names(keras)


def test_shapes_of_symbolic_tensors_are_no_steps():
    x = kcore.Input((4, 6))
    assert kcore.ops.shape(x) == (None, 4, 6) and kcore.ops.ndim(x) == 3


def test_an_operation_that_is_not_there_is_named():
    x = kcore.Input((4,), name="x")
    config = kcore.Model(x, kcore.ops.relu(x)).get_config()
    config["layers"][1]["class_name"] = "Rely"
    with pytest.raises(
        ValueError, match="uses Keras's operation Rely, which kcore.ops does not have; did you mean 'relu'"
    ):
        kcore.Model.from_config(config)
