"""Batch normalization."""

from __future__ import annotations

from typing import Any

from kcore import config, constraints, initializers, ops, regularizers
from kcore.declare import argument, only
from kcore.dtypes import result_type
from kcore.layers.input_spec import InputSpec, describe_layer
from kcore.layers.layer import Layer
from kcore.layers.normalization.parameters import add_gamma_and_beta
from kcore.registry import public

_ONE_DEVICE = "statistics over several devices are not there yet"
_NO_RENORM = "batch renormalization is not implemented"


@public("keras.layers")
class BatchNormalization(Layer):
    """Normalizes each channel: ``gamma * (x - mean) / sqrt(variance + epsilon) + beta``.

    In training the statistics are those of the batch (biased variance; masked entries left out), and the moving ones
    follow: ``moving = moving * momentum + batch * (1 - momentum)``. Otherwise, and when ``trainable`` is False even in
    training, the moving ones are used.

    Args:
        axis: axis of the channels.
        momentum: of the moving statistics.
        epsilon: added to the variance.
        center: whether to add beta.
        scale: whether to multiply by gamma.
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer: first values.
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: what the weights are mapped to after an update.
        renorm, renorm_clipping, renorm_momentum, synchronized: their defaults; Keras's files carry them.

    Shapes:
        input and output of one shape; mask with one dimension less; weights ``(channels,)``.

    Example:
        >>> import numpy as np
        >>> layer = BatchNormalization(epsilon=0.0)
        >>> layer(np.array([[1.0], [3.0]], "float32"), training=True).numpy().tolist()
        [[-1.0], [1.0]]

    Source: Ioffe and Szegedy, arXiv:1502.03167; `keras.layers.BatchNormalization`.
    """

    axis: int = argument(-1, int)
    momentum: float = argument(0.99, float)
    epsilon: float = argument(0.001, float)
    center: bool = argument(True)
    scale: bool = argument(True)
    beta_initializer: Any = argument("zeros", initializers)
    gamma_initializer: Any = argument("ones", initializers)
    moving_mean_initializer: Any = argument("zeros", initializers)
    moving_variance_initializer: Any = argument("ones", initializers)
    beta_regularizer: Any = argument(None, regularizers)
    gamma_regularizer: Any = argument(None, regularizers)
    beta_constraint: Any = argument(None, constraints)
    gamma_constraint: Any = argument(None, constraints)
    renorm: bool = argument(False, only(False, _NO_RENORM))
    renorm_clipping: Any = argument(None, only(None, _NO_RENORM))
    renorm_momentum: float = argument(0.99)
    synchronized: bool = argument(False, only(False, _ONE_DEVICE))

    supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape: Any = (input_shape[self.axis],)
        add_gamma_and_beta(self, shape)
        fixed: dict[str, Any] = {"trainable": False, "autocast": False}
        self.moving_mean = self.add_weight(shape, self.moving_mean_initializer, name="moving_mean", **fixed)
        self.moving_variance = self.add_weight(shape, self.moving_variance_initializer, name="moving_variance", **fixed)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: input_shape[self.axis]})

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if mask is not None and len(mask.shape) != len(inputs.shape) - 1:
            raise ValueError(
                f"{describe_layer(self)}: the mask must have one dimension less than the input {inputs.shape}, got "
                f"{mask.shape}"
            )
        x = ops.cast(inputs, result_type(inputs.dtype, "float32"))
        if not (training and self.trainable):
            mean, variance = self.moving_mean, self.moving_variance
            outputs = ops.batch_normalization(x, mean, variance, self.axis, self.beta, self.gamma, self.epsilon)
        else:
            if mask is None:
                outputs, mean, variance = ops.batch_norm_train(x, self.gamma, self.beta, self.axis, self.epsilon)
            else:
                mean, variance = self._masked_moments(x, mask)
                outputs = ops.batch_normalization(x, mean, variance, self.axis, self.beta, self.gamma, self.epsilon)
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return ops.cast(outputs, self.compute_dtype)

    def _masked_moments(self, x: Any, mask: Any) -> tuple[Any, Any]:
        axes = tuple(i for i in range(len(x.shape)) if i != self.axis % len(x.shape))
        kept = ops.broadcast_to(ops.expand_dims(ops.cast(mask, "bool"), -1), x.shape)
        count = ops.sum(ops.cast(kept, x.dtype), axis=axes, keepdims=True) + config.epsilon()
        mean = ops.sum(ops.where(kept, x, 0), axis=axes, keepdims=True) / count
        variance = ops.sum(ops.square(ops.where(kept, x - mean, 0)), axis=axes, keepdims=True) / count
        return ops.squeeze(mean, axes), ops.squeeze(variance, axes)
