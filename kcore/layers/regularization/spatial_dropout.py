"""Dropout of whole channels."""

from __future__ import annotations

from typing import Any, ClassVar

from kcore import config
from kcore.declare import argument
from kcore.layers.input_spec import InputSpec
from kcore.layers.regularization.dropout import Dropout
from kcore.registry import public


class BaseSpatialDropout(Dropout):
    """Base of the dropout of channels over one to three spatial axes.

    Args:
        rate: share that is dropped, 0 to 1.
        data_format: ``"channels_last"`` or ``"channels_first"``; `kcore.config.image_data_format()` if None.
        seed: integer that makes the masks deterministic.
    """

    #: Number of spatial axes.
    rank: ClassVar[int]

    noise_shape = None
    data_format: Any = argument(None, config.standardize_data_format, after="rate")
    name: str = argument(None, config=False, after="seed")
    dtype: Any = argument(None, config=False, after="name")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def draw_shape(self, inputs: Any) -> tuple[int, ...]:
        ones = (1,) * self.rank
        batch, *sizes = inputs.shape
        return (batch, *ones, sizes[-1]) if self.data_format == "channels_last" else (batch, sizes[0], *ones)

    def get_config(self) -> dict[str, Any]:
        full = super().get_config()
        shown = ["rate", "seed", "name", *(["data_format"] if "data_format" in full else [])]
        return {**{key: full[key] for key in shown}, "dtype": self.dtype_policy.name}


@public("keras.layers")
class SpatialDropout1D(BaseSpatialDropout):
    """In training, drops whole channels: one draw for all of time.

    Args:
        rate, seed: see `BaseSpatialDropout`.

    Shapes:
        input ``(batch, time, channels)``, output of the same shape.

    Example:
        >>> import numpy as np
        >>> y = SpatialDropout1D(0.5, seed=1)(np.ones((2, 3, 4), "float32"), training=True).numpy()
        >>> sorted({len(set(y[0, ..., c].ravel())) for c in range(4)})
        [1]

    Source: Tompson et al., arXiv:1411.4280; `keras.layers.SpatialDropout1D`.
    """

    rank = 1
    data_format = "channels_last"


@public("keras.layers")
class SpatialDropout2D(BaseSpatialDropout):
    """In training, drops whole channels: one draw for all of height and width.

    Args:
        rate, data_format, seed: see `BaseSpatialDropout`.

    Shapes:
        input ``(batch, height, width, channels)``, output of the same shape.

    Example:
        >>> import numpy as np
        >>> y = SpatialDropout2D(0.5, seed=1)(np.ones((2, 3, 3, 4), "float32"), training=True).numpy()
        >>> sorted({len(set(y[0, ..., c].ravel())) for c in range(4)})
        [1]

    Source: Tompson et al., arXiv:1411.4280; `keras.layers.SpatialDropout2D`.
    """

    rank = 2


@public("keras.layers")
class SpatialDropout3D(BaseSpatialDropout):
    """In training, drops whole channels: one draw for all of depth, height and width.

    Args:
        rate, data_format, seed: see `BaseSpatialDropout`.

    Shapes:
        input ``(batch, depth, height, width, channels)``, output of the same shape.

    Example:
        >>> import numpy as np
        >>> y = SpatialDropout3D(0.5, seed=1)(np.ones((2, 3, 3, 3, 4), "float32"), training=True).numpy()
        >>> sorted({len(set(y[0, ..., c].ravel())) for c in range(4)})
        [1]

    Source: Tompson et al., arXiv:1411.4280; `keras.layers.SpatialDropout3D`.
    """

    rank = 3
