"""Spectral normalization of another layer's kernel."""

from __future__ import annotations

from typing import Any

from kcore import initializers, ops
from kcore.declare import argument, positive_int
from kcore.layers.input_spec import InputSpec, describe_layer
from kcore.layers.wrapping.wrapper import Wrapper
from kcore.registry import public


@public("keras.layers")
class SpectralNormalization(Wrapper):
    """Divides the kernel of a layer by its largest singular value, at every call in training.

    The kernel is seen as a matrix of its last axis against all others. Its largest singular value is estimated by
    power iteration, which goes on from call to call: ``v = norm(u W^T)``, ``u = norm(v W)``, ``sigma = v W u^T``. The
    kernel itself is overwritten by ``W / sigma``, and gradients are those for the overwritten kernel. A kernel of zeros
    stays as it is.

    Args:
        layer: a layer with a ``kernel``, or an `Embedding`.
        power_iterations: number of iterations per call.

    Shapes:
        those of the layer; the vector ``u`` that is kept is ``(1, last axis of the kernel)``.

    Raises:
        ValueError: the layer has neither ``kernel`` nor ``embeddings``.

    Example:
        >>> import numpy as np
        >>> from kcore import layers
        >>> dense = layers.Dense(2, kernel_initializer="identity")
        >>> layer = SpectralNormalization(dense, power_iterations=3)
        >>> y = layer(np.ones((1, 2), "float32"), training=True)
        >>> round(float(np.linalg.norm(dense.kernel.numpy(), 2)), 4)
        1.0

    Source: Miyato et al., arXiv:1802.05957; `keras.layers.SpectralNormalization`.
    """

    power_iterations: int = argument(1, positive_int, after="layer")

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        self.input_spec = InputSpec(min_ndim=1, axes={-1: input_shape[-1]})
        kernel = next(
            (w for w in (getattr(self.layer, n, None) for n in ("kernel", "embeddings")) if w is not None), None
        )
        if kernel is None:
            raise ValueError(
                f"{describe_layer(self)}: {describe_layer(self.layer)} has neither a kernel nor embeddings to normalize"
            )
        self.kernel = kernel
        self.vector_u = self.add_weight(
            (1, kernel.shape[-1]),
            initializers.TruncatedNormal(stddev=0.02),
            dtype=kernel.dtype,
            trainable=False,
            name="vector_u",
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training:
            u, kernel = self.normalized_weights()
            self.vector_u.assign(u)
            self.kernel.assign(ops.stop_gradient(kernel))  # gradients are those of the kernel as it is now
        return ops.cast(self.layer(inputs), inputs.dtype)

    def normalized_weights(self) -> tuple[Any, Any]:
        """The next vector ``u`` and the kernel divided by its largest singular value."""
        kernel, u = self.kernel.value, self.vector_u.value
        weights = ops.reshape(kernel, (-1, kernel.shape[-1]))
        for _ in range(self.power_iterations):
            v = _unit(ops.matmul(u, ops.transpose(weights)))
            u = _unit(ops.matmul(v, weights))
        sigma = ops.reshape(ops.matmul(ops.matmul(v, weights), ops.transpose(u)), ())
        empty = ops.all(ops.equal(kernel, 0))
        kernel = kernel / ops.where(empty, ops.ones_like(sigma), sigma)
        u = ops.where(empty, self.vector_u.value, u)
        return ops.cast(u, self.vector_u.dtype), ops.cast(kernel, self.kernel.dtype)


def _unit(x: Any) -> Any:
    return ops.normalize(x, axis=-1)
