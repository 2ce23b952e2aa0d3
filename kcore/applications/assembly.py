"""What all applications share: their arguments, the image before the features, the head behind, and the weights."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from kcore import activations, layers
from kcore.config import image_data_format
from kcore.errors import warn_user
from kcore.models import Functional
from kcore.models.calls import get_source_inputs
from kcore.naming import did_you_mean
from kcore.runtime import KerasTensor
from kcore.runtime.loading import loading
from kcore.utils.files import get_file

SERVER = "https://storage.googleapis.com/tensorflow/keras-applications/"
#: Folder of weights in the cache folder.
CACHE = "models"
#: Endings of the published files with and without a head, where a family has them so.
ENDINGS = ("_weights_tf_dim_ordering_tf_kernels.h5", "_weights_tf_dim_ordering_tf_kernels_notop.h5")

Weights = str | os.PathLike[str] | None
Shape = tuple[int | None, ...] | None
V = TypeVar("V", bound="Variant")
P = ParamSpec("P")


@dataclass(frozen=True)
class Variant:
    """One model of a family.

    Attributes:
        title: its name in `kcore.applications`.
        name: the name its models get.
        digests: of the published weights with and without a head; None where Keras knows none.
    """

    title: str
    name: str
    digests: tuple[str | None, str | None]

    def digest(self, include_top: bool) -> str | None:
        """That of the weights with or without a head."""
        return self.digests[0 if include_top else 1]


def variant(family: Callable[Concatenate[V, P], Functional], which: V, summary: str) -> Callable[P, Functional]:
    """The public function of one model: the family's, for this variant and with the variant's name.

    Args:
        family: makes any model of the family; its documentation becomes that of each.
        which: the variant, the family's first argument.
        summary: first line of the documentation.
    """
    first, *rest = inspect.signature(family).parameters.values()
    own = [p.replace(default=which.name) if p.name == "name" and p.default == "" else p for p in rest]
    signature = inspect.Signature(own, return_annotation="Functional")

    @functools.wraps(family)
    def make(*args: P.args, **kwargs: P.kwargs) -> Functional:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            wrong = next((key for key in kwargs if key not in signature.parameters), None)
            raise TypeError(
                f"{which.title}: {error}{did_you_mean(wrong, signature.parameters) if wrong else ''}"
            ) from None
        bound.apply_defaults()
        return family(which, *bound.args, **bound.kwargs)

    del make.__wrapped__  # it has another signature
    make.__name__ = make.__qualname__ = which.title
    make.__signature__ = signature  # type: ignore[attr-defined]
    _, _, description = (family.__doc__ or "").partition("\n")
    example = (
        f"    Example:\n        >>> {which.title}(weights=None).output_shape  # doctest: +SKIP\n        (None, 1000)\n"
    )
    make.__doc__ = (
        f"{summary}\n{description.rstrip()}\n\n{example}\n    Source: `keras.applications.{which.title}`.\n    "
    )
    return make


class Assembly:
    """An application in the making, from its image to its weights.

    Args:
        title: the model's, for messages.
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation: as the user gave them.

    Attributes:
        channels: the axis of the channels, -1 or 1.
        pretrained: whether the published weights are asked for.

    Raises:
        ValueError: arguments that do not go together.
    """

    def __init__(
        self,
        title: str,
        include_top: bool,
        weights: Weights,
        input_tensor: Any,
        input_shape: Shape,
        pooling: str | None,
        classes: int,
        classifier_activation: Any,
    ):
        self.title, self.include_top, self.weights = title, include_top, weights
        self.input_tensor = input_tensor
        self.input_shape = None if input_shape is None else tuple(input_shape)
        self.pooling, self.classes, self.classifier_activation = pooling, classes, classifier_activation
        self.channels = 1 if image_data_format() == "channels_first" else -1
        self.pretrained = isinstance(weights, str) and weights == "imagenet"
        self._check()
        self._check_both()

    def _check(self) -> None:
        if not (self.weights is None or self.pretrained or Path(self.weights).is_file()):
            raise ValueError(
                f"{self.title}: weights must be None, 'imagenet', or the path of a file of weights; there is no file "
                f"{os.fspath(self.weights)!r}"
            )
        if self.pooling not in (None, "avg", "max"):
            raise ValueError(f"{self.title}: pooling must be None, 'avg' or 'max', received {self.pooling!r}")
        if self.input_tensor is not None and not isinstance(self.input_tensor, KerasTensor):
            kind = type(self.input_tensor).__name__
            raise ValueError(f"{self.title}: input_tensor must be a symbolic tensor, from Input(), received a {kind}")
        if not self.include_top:
            return
        if self.pretrained and self.classes != 1000:
            raise ValueError(
                f"{self.title}: weights='imagenet' with include_top=True has classes=1000, received {self.classes}; "
                "for other classes put a head of your own on include_top=False"
            )
        fitting = (activations.get(None), activations.softmax)
        if self.weights is not None and activations.get(self.classifier_activation) not in fitting:
            raise ValueError(
                f"{self.title}: classifier_activation must be 'softmax' or None where weights are loaded, received "
                f"{self.classifier_activation!r}"
            )

    def _check_both(self) -> None:
        if self.input_tensor is None or self.input_shape is None:
            return
        known = tuple(self.input_tensor.shape[1:])
        pairs = zip(known, self.input_shape, strict=False)
        if len(known) != len(self.input_shape) or any(a != b for a, b in pairs if None not in (a, b)):
            raise ValueError(
                f"{self.title}: input_shape={self.input_shape} is not that of input_tensor, which has {known}"
            )

    def only_channels_last(self) -> None:
        """Raise ValueError where images have their channels first."""
        if self.channels == 1:
            raise ValueError(
                f"{self.title} takes images with their channels last only: kcore.config.set_image_data_format"
                "('channels_last')"
            )

    # -- the image ---------------------------------------------------------------------------------------------------

    def sizes(self) -> tuple[int | None, int | None] | None:
        """Height and width that the user gave by `input_shape`, if any."""
        if self.input_shape is None:
            return None
        return self.input_shape[1:3] if self.channels == 1 else self.input_shape[:2]  # type: ignore[return-value]

    def sizes_of_tensor(self) -> tuple[int | None, int | None] | None:
        """Height and width of the `input_tensor`, if there is one."""
        if self.input_tensor is None:
            return None
        return self.input_tensor.shape[2:4] if self.channels == 1 else self.input_tensor.shape[1:3]

    def shape(self, height: int | None, width: int | None, channels: int | None = 3) -> tuple[int | None, ...]:
        """Shape of an image in the data format there is."""
        return (channels, height, width) if self.channels == 1 else (height, width, channels)

    def image(self, default: int, smallest: int) -> KerasTensor:
        """The symbolic image.

        Args:
            default: height and width where the head needs to know them and the user said nothing.
            smallest: the least height and width.
        """
        shape = self._image_shape(default, smallest)
        return layers.Input(shape) if self.input_tensor is None else self.input_tensor

    def _image_shape(self, default: int, smallest: int) -> tuple[int | None, ...]:
        given = self.input_shape
        if given is None:
            return self.shape(default, default) if self.include_top else self.shape(None, None)
        if len(given) != 3:
            raise ValueError(f"{self.title}: input_shape must have three sizes, without the batch; received {given}")
        channels = given[0 if self.channels == 1 else -1]
        if self.pretrained and self.include_top and given != self.shape(default, default):
            raise ValueError(
                f"{self.title}: weights='imagenet' with include_top=True is for input_shape="
                f"{self.shape(default, default)}, received {given}"
            )
        if self.pretrained and channels != 3:
            raise ValueError(
                f"{self.title}: weights='imagenet' is for images of 3 channels, received input_shape={given}"
            )
        if channels not in (1, 3):
            warn_user(f"{self.title}: images have 1 or 3 channels; input_shape={given} has {channels}")
        self.check_size(smallest)
        if self.include_top and None in given:
            raise ValueError(f"{self.title}: include_top=True needs the sizes of input_shape, received {given}")
        return given

    def check_size(self, smallest: int) -> None:
        """Raise ValueError if the user's image is smaller than that."""
        if any(size is not None and size < smallest for size in self.sizes() or ()):
            raise ValueError(
                f"{self.title}: images must be at least {smallest}x{smallest}, received input_shape={self.input_shape}"
            )

    # -- the end -----------------------------------------------------------------------------------------------------

    def pooled(self, x: Any, named: bool = False) -> Any:
        """Features of a model without a head, pooled as the user asked."""
        if self.pooling == "avg":
            return layers.GlobalAveragePooling2D(name="avg_pool" if named else None)(x)
        if self.pooling == "max":
            return layers.GlobalMaxPooling2D(name="max_pool" if named else None)(x)
        return x

    def classified(self, x: Any, **options: Any) -> Any:
        """The classes of pooled features."""
        return layers.Dense(self.classes, activation=self.classifier_activation, name="predictions", **options)(x)

    def finished(self, x: Any, named: bool = False, average: str | None = "avg_pool") -> Any:
        """Averaged and classified, or pooled.

        Args:
            x: features.
            named: whether pooling without a head is called ``avg_pool`` or ``max_pool``.
            average: name of the average before the classes.
        """
        if self.include_top:
            return self.classified(layers.GlobalAveragePooling2D(name=average)(x))
        return self.pooled(x, named)

    def model(
        self,
        image: KerasTensor,
        body: Callable[[Any], Any],
        name: str | None,
        address: str,
        digest: str | None,
        cached: str | None = None,
    ) -> Functional:
        """The model of an image, with its weights.

        Args:
            image: as `image` gave it.
            body: makes features and head of it.
            name: name of the model.
            address: of the published weights.
            digest: that they must have.
            cached: their name in the cache, if it is not that of the address.

        Raises:
            OSError: the published weights are neither in the cache nor within reach.
            ValueError: weights that are damaged, or of another model.
        """
        file = self._fetched(cached, address, digest) if self.pretrained else self.weights
        inputs = image if self.input_tensor is None else get_source_inputs(image)
        if file is None:
            return Functional(inputs, body(image), name=name)
        with loading(sys.maxsize, "") as made:  # no values are drawn that the file will replace
            model = Functional(inputs, body(image), name=name)
            made.settle(model.variables)
        model.load_weights(file)
        return model

    def _fetched(self, cached: str | None, address: str, digest: str | None) -> str:
        try:
            return get_file(cached, address, cache_subdir=CACHE, file_hash=digest)
        except OSError as error:
            raise OSError(
                f"{self.title}: weights='imagenet': {error}; or give its path as weights=..., or weights=None for a "
                "model that has learned nothing"
            ) from error


def shifted(x: Any, kernel: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Padding before a convolution of stride 2, so that it begins where it does with ``"same"`` for odd sizes.

    Args:
        x: images; sizes that are not known count as even.
        kernel: size of the kernel.
    """
    start, half = 2 if image_data_format() == "channels_first" else 1, kernel // 2
    sizes = x.shape[start : start + 2]
    height, width = (half - 1 if sizes[0] is None else half - 1 + size % 2 for size in sizes)
    return (height, half), (width, half)


def divisible(channels: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to a number of channels, and at least nine tenths of it."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * channels else nearest
