"""Layers one after the other, and boxes in one number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kcore import ops
from kcore.declare import argument, positive_int
from kcore.layers.calling import CallSignature, infer_outputs
from kcore.layers.input_spec import describe_layer
from kcore.layers.layer import Layer
from kcore.layers.preprocessing.data_layer import DataLayer
from kcore.layers.preprocessing.image_layer import ImageLayer
from kcore.registry import deserialize, public


@public("keras.layers")
class Pipeline(DataLayer):
    """Calls layers one after the other, in training mode if it is not told otherwise.

    Args:
        layers: preprocessing layers, or others.

    Shapes:
        those of the first and the last layer.

    Example:
        >>> import numpy as np
        >>> from kcore import layers
        >>> steps = Pipeline([layers.Rescaling(1 / 255), layers.CenterCrop(1, 1)])
        >>> steps(np.full((1, 3, 3, 1), 255.0, "float32")).numpy().ravel().tolist()
        [1.0]

    Source: `keras.layers.Pipeline`.
    """

    layers: list[Any] = argument(
        kind=lambda value: [deserialize(x) if isinstance(x, Mapping) else x for x in value], attr="_steps"
    )

    def __post_init__(self) -> None:
        self.autocast = False
        for step in self._steps:
            if not callable(step):
                raise ValueError(f"{describe_layer(self)}: expected layers, got {step!r}")

    _steps: list[Any]

    @property
    def _takes_training(self) -> list[bool]:
        return [isinstance(step, Layer) and CallSignature(step.call).has_training for step in self._steps]

    def call(self, inputs: Any, training: bool = True) -> Any:
        for step, takes in zip(self._steps, self._takes_training, strict=True):
            inputs = step(inputs, training=training) if takes else step(inputs)
        return inputs

    def compute_output_spec(self, inputs: Any, training: bool = True) -> Any:
        return self.call(inputs, training)

    def get_config(self) -> dict[str, Any]:
        full = super().get_config()
        return {"layers": full["layers"], "name": full["name"]}


@public("keras.layers")
class MaxNumBoundingBoxes(ImageLayer):
    """Brings the bounding boxes of every image to one number: those too many are left out, missing ones filled in.

    Args:
        max_number: the number.
        fill_value: what missing boxes and their labels are filled with.

    Shapes:
        input a dict with ``"bounding_boxes"``: ``{"boxes": (batch, n, 4), "labels": (batch, n)}``, or of one image; the
        output has `max_number` in place of n.

    Raises:
        ValueError: boxes that are not such a dict.

    Example:
        >>> import numpy as np
        >>> boxes = {"boxes": np.ones((1, 1, 4), "float32"), "labels": np.ones((1, 1), "float32")}
        >>> out = MaxNumBoundingBoxes(2)({"images": np.zeros((1, 2, 2, 3), "float32"), "bounding_boxes": boxes})
        >>> out["bounding_boxes"]["labels"].numpy().tolist()
        [[1.0, -1.0]]

    Source: `keras.layers.MaxNumBoundingBoxes`.
    """

    max_number: int = argument(kind=positive_int)
    fill_value: int = argument(-1, int)

    always = True

    def _check_parts(self, parts: dict[str, Any]) -> None:
        boxes = parts.get("bounding_boxes")
        if boxes is not None and (not isinstance(boxes, dict) or set(boxes) != {"boxes", "labels"}):
            raise ValueError(
                f"{describe_layer(self)}: bounding_boxes are a dict of 'boxes' and 'labels', got {boxes!r:.80}"
            )
        super()._check_parts({key: value for key, value in parts.items() if key != "bounding_boxes"})

    def change(self, images: Any, drawn: Any, nearest: bool = False) -> Any:
        return images

    def call(self, data: Any, training: bool = True) -> Any:
        if not isinstance(data, dict) or "bounding_boxes" not in data:
            return super().call(data, training)
        self._check_parts(data)
        rest = super().call({key: value for key, value in data.items() if key != "bounding_boxes"}, training)
        boxes = {key: self._fitted(x, 1 if key == "boxes" else 0) for key, x in data["bounding_boxes"].items()}
        return {key: boxes if key == "bounding_boxes" else rest[key] for key in data}

    def _fitted(self, x: Any, behind: int) -> Any:
        axis = len(x.shape) - 1 - behind
        x = x[(slice(None),) * axis + (slice(self.max_number),)]
        missing = self.max_number - x.shape[axis]
        margins = [(0, missing) if i == axis else (0, 0) for i in range(len(x.shape))]
        return ops.pad(x, margins, constant_values=self.fill_value) if missing else x

    def compute_output_spec(self, data: Any, training: bool = True) -> Any:
        return infer_outputs(self.call, (data,), {})

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.fill_value == -1:
            del config["fill_value"]
        return config
