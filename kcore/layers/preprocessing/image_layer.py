"""What layers for images share: one image or a batch, channels first or last, labels and masks beside the images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kcore import config, ops, random
from kcore.declare import argument
from kcore.layers.input_spec import describe_layer
from kcore.layers.preprocessing.data_layer import DataLayer
from kcore.runtime import KerasTensor
from kcore.runtime.seeds import SeedGenerator
from kcore.tree import map_structure

#: What may stand beside the images in a dict of inputs.
PARTS = ("images", "labels", "segmentation_masks", "bounding_boxes")


class ImageLayer(DataLayer):
    """Base of the layers for images.

    The input is a batch of images, one image, or a dict of ``"images"`` with ``"labels"`` and ``"segmentation_masks"``
    beside them, which are changed along with the images where that makes a difference. A layer sees batches with
    channels last, in the compute dtype; it draws what is random in `draw`, and changes all parts in the same way.

    Args:
        data_format: ``"channels_last"`` or ``"channels_first"``; `kcore.config.image_data_format()` if None.
        bounding_box_format: what boxes in the input are, such as ``"xyxy"``. Layers that move nothing give them back as
            they are; the others refuse them.
    """

    data_format: Any = argument(None, config.standardize_data_format, keyword=True)
    bounding_box_format: Any = argument(None, keyword=True, config=False)

    #: Whether images change outside of training, too.
    always: bool = False
    #: Where masks are moved like images, but read at the nearest pixel.
    moves: bool = False
    #: Whether bounding boxes are right as they are, since nothing moves.
    boxes_stay: bool = False
    generator: Any = None

    def __post_init__(self) -> None:
        self.autocast = False
        if "seed" in self.arguments:
            self.generator = SeedGenerator(self.seed)

    seed: int | None

    # -- what a layer is ---------------------------------------------------------------------------------------

    def draw(self, images: Any, seed: Any) -> Any:
        """What is random about a change, for ``(batch, height, width, channels)`` images."""
        return None

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        """The images, changed as was drawn; with `nearest` they are masks, whose values may not be mixed."""
        raise NotImplementedError

    def change_labels(self, labels: Any, drawn: Any) -> Any:
        """The labels of changed images."""
        return labels

    def change_masks(self, masks: Any, drawn: Any) -> Any:
        """The masks of changed images."""
        return self.change(masks, drawn, nearest=True) if self.moves else masks

    def size(self, height: int | None, width: int | None) -> tuple[int | None, int | None]:
        """The size of changed images."""
        return height, width

    # -- calling -----------------------------------------------------------------------------------------------

    def _to_batch(self, x: Any, what: str = "images") -> tuple[Any, Callable[[Any], Any]]:
        """A batch with channels last, and what gives a changed one the shape of the input."""
        if len(x.shape) not in (3, 4):
            raise ValueError(
                f"{describe_layer(self)}: {what} are one of rank 3 or a batch of rank 4, got the shape {tuple(x.shape)}"
            )
        single, first = len(x.shape) == 3, self.data_format == "channels_first"
        x = ops.expand_dims(x, 0) if single else x
        x = ops.transpose(x, (0, 2, 3, 1)) if first else x

        def restored(y: Any) -> Any:
            y = ops.transpose(y, (0, 3, 1, 2)) if first else y
            return ops.squeeze(y, 0) if single else y

        return x, restored

    def call(self, data: Any, training: bool = True) -> Any:
        parts = data if isinstance(data, dict) else {"images": data}
        self._check_parts(parts)
        images, restored = self._to_batch(parts["images"])
        active = training or self.always
        if not self._keeps_dtype:
            images = ops.cast(images, self.compute_dtype)
        drawn = self.draw(images, self.generator) if active else None
        images = self.change(images, drawn) if active else self.resting(images)
        if not self._keeps_dtype:
            images = ops.cast(images, self.compute_dtype)
        changed: dict[str, Any] = {"images": restored(images)}
        if "labels" in parts:
            labels = parts["labels"]
            single = len(parts["images"].shape) == 3
            if active:
                labels = self.change_labels(ops.expand_dims(labels, 0) if single else labels, drawn)
                labels = ops.squeeze(labels, 0) if single else labels
            changed["labels"] = labels
        if "segmentation_masks" in parts:
            masks, restored_mask = self._to_batch(parts["segmentation_masks"], "segmentation_masks")
            changed["segmentation_masks"] = restored_mask(
                self.change_masks(masks, drawn) if active else self.resting(masks, nearest=True)
            )
        if "bounding_boxes" in parts:
            changed["bounding_boxes"] = parts["bounding_boxes"]
        return {key: changed[key] for key in parts} if isinstance(data, dict) else changed["images"]

    #: Whether integers stay integers.
    _keeps_dtype: bool = False

    def resting(self, images: Any, nearest: bool = False) -> Any:
        """The images outside of training."""
        return images

    def _check_parts(self, parts: dict[str, Any]) -> None:
        unknown = [key for key in parts if key not in PARTS]
        if "images" not in parts or unknown:
            raise ValueError(
                f"{describe_layer(self)}: a dict of inputs has 'images' and may have "
                f"{', '.join(map(repr, PARTS[1:]))}, "
                f"got {list(parts)}"
            )
        if "bounding_boxes" in parts and self.boxes_stay and not self.bounding_box_format:
            raise ValueError(f"{describe_layer(self)}: bounding boxes need a bounding_box_format, such as 'xyxy'")
        if "bounding_boxes" in parts and not self.boxes_stay:
            raise NotImplementedError(
                f"{describe_layer(self)}: bounding boxes are not supported: change images, labels and masks, and the "
                "boxes yourself"
            )

    def compute_output_spec(self, data: Any, training: bool = True) -> Any:
        parts = data if isinstance(data, dict) else {"images": data}
        self._check_parts(parts)

        def spec(key: str, x: Any) -> Any:
            if key in ("labels", "bounding_boxes"):
                return x
            shape = list(x.shape)
            if len(shape) not in (3, 4):
                self._to_batch(x, key)
            at = len(shape) - (2 if self.data_format == "channels_first" else 3)
            shape[at : at + 2] = self.size(*shape[at : at + 2])
            kept = key == "segmentation_masks" or self._keeps_dtype
            return KerasTensor(tuple(shape), dtype=x.dtype if kept else self.compute_dtype)

        outputs = {key: map_structure(lambda x, key=key: spec(key, x), x) for key, x in parts.items()}
        return outputs if isinstance(data, dict) else outputs["images"]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the images, or of all parts."""
        if isinstance(input_shape, dict):
            tensors = {key: KerasTensor(shape, dtype=self.compute_dtype) for key, shape in input_shape.items()}
            return {key: tuple(x.shape) for key, x in self.compute_output_spec(tensors).items()}
        return tuple(self.compute_output_spec(KerasTensor(input_shape, dtype=self.compute_dtype)).shape)

    def get_config(self) -> dict[str, Any]:
        full = super().get_config()
        if self.bounding_box_format is not None:
            full["bounding_box_format"] = self.bounding_box_format
        return full


# -- kinds of arguments, and draws -------------------------------------------------------------------------------------


class Factor:
    """Kind of the argument: a number, which allows changes up to it, or the least and the greatest change.

    Args:
        low, high: the numbers it may have.
        both: whether a number f stands for -f to f, as far as `low` allows; else for 0 to f.
    """

    def __init__(self, low: float, high: float, both: bool = True):
        self._low, self._high, self._both = low, high, both

    def __call__(self, value: Any) -> tuple[float, float]:
        numbers = [value] if isinstance(value, (int, float)) and not isinstance(value, bool) else value
        if (
            not isinstance(numbers, (list, tuple))
            or len(numbers) not in ((1, 2) if numbers is not value else (2,))
            or any(isinstance(x, bool) or not isinstance(x, (int, float)) for x in numbers)
            or any(not self._low <= x <= self._high for x in numbers)
        ):
            raise ValueError(f"expected a number, or two, in [{self._low:g}, {self._high:g}]")
        if len(numbers) == 2:
            return min(numbers), max(numbers)
        size = abs(numbers[0])
        return (max(-size, self._low) if self._both else 0), size


def value_range(value: Any) -> list[float]:
    """Kind of the argument: the least and the greatest value of a pixel."""
    if not isinstance(value, (list, tuple)) or len(value) != 2 or value[0] == value[1]:
        raise ValueError("expected two different numbers, the least and the greatest value of a pixel")
    return sorted(value)


def uniform(images: Any, span: tuple[float, float], seed: Any, shape: tuple[int, ...] = (1, 1, 1)) -> Any:
    """One draw for every image, shaped to broadcast to it."""
    dtype = images.dtype if images.dtype in ("float32", "float64") else "float32"
    return ops.cast(random.uniform((images.shape[0], *shape), span[0], span[1], dtype=dtype, seed=seed), images.dtype)


def chosen(images: Any, span: tuple[float, float], seed: Any) -> Any:
    """Which images are changed, where each is with a probability drawn from `span`."""
    probability = uniform(images, span, seed)
    return ops.less(uniform(images, (0.0, 1.0), seed), probability)


def rescaled(images: Any, source: Any, target: Any) -> Any:
    """Values of the range `source` in the range `target`."""
    if tuple(source) == tuple(target):
        return images
    images = (images - source[0]) / (source[1] - source[0])
    return images * (target[1] - target[0]) + target[0]
