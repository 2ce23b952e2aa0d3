"""What the image ops share: one image or many, channels last or first, brought to one layout and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kcore import config
from kcore.ops.shape import _tensor, expand_dims, reshape, transpose

#: Ways to read an image between its pixels, and the order of the polynomial.
ORDERS = {"nearest": 0, "bilinear": 1}


def rank_checked(function: str, x: Any, name: str = "") -> Any:
    """The images as a tensor of rank 3 or 4.

    Raises:
        ValueError: another rank.
    """
    x = _tensor(x)
    if len(x.shape) not in (3, 4):
        raise ValueError(
            f"{function}: expected an image (rank 3) or a batch of them (rank 4){name and f' as {name}'}; "
            f"received shape {tuple(x.shape)}"
        )
    return x


def is_first(data_format: str | None) -> bool:
    """Whether channels come before height and width."""
    return config.standardize_data_format(data_format) == "channels_first"


def channel_axis(data_format: str | None) -> int:
    """The axis of the channels, from the end."""
    return -3 if is_first(data_format) else -1


def batched(function: str, x: Any, data_format: str | None) -> tuple[Any, Callable[[Any], Any]]:
    """Images as (batch, height, width, channels), and what brings a result of that layout back to the images' own."""
    x = rank_checked(function, x)
    single, first = len(x.shape) == 3, is_first(data_format)
    if single:
        x = expand_dims(x, 0)
    if first:
        x = transpose(x, (0, 2, 3, 1))

    def restored(y: Any) -> Any:
        if first:
            y = transpose(y, (0, 3, 1, 2))
        return reshape(y, y.shape[1:]) if single else y

    return x, restored


def pixels(x: Any) -> tuple[int, int]:
    """Height and width of channels-last images of known size.

    Raises:
        ValueError: a size that is not known yet.
    """
    height, width = x.shape[1:3]
    if height is None or width is None:
        raise ValueError(f"height and width must be known; received images of shape {tuple(x.shape)}")
    return height, width


def order_of(function: str, interpolation: str) -> int:
    """The order of an interpolation.

    Raises:
        ValueError: an unknown name.
    """
    if interpolation not in ORDERS:
        raise ValueError(f"{function}: expected interpolation to be one of {tuple(ORDERS)}; received {interpolation!r}")
    return ORDERS[interpolation]
