"""What an application is made of, in a line; run as a script it records those of Keras.

    KERAS_BACKEND=jax python tests/applications/describing.py > tests/applications/keras_models.json

with Keras 3.15.1 (its NumPy engine computes every layer to learn its shape, which takes hours).
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from typing import Any

import numpy as np

#: A small model of each family, the size of its images, and arguments.
SMALL: dict[str, tuple[int, dict[str, Any]]] = {
    "ConvNeXtTiny": (32, {}),
    "DenseNet121": (32, {}),
    "EfficientNetB0": (32, {}),
    "EfficientNetV2B0": (32, {}),
    "InceptionResNetV2": (75, {}),
    "InceptionV3": (75, {}),
    "MobileNet": (32, {"alpha": 0.5, "depth_multiplier": 2}),
    "MobileNetV2": (32, {"alpha": 0.35}),
    "MobileNetV3Large": (32, {"alpha": 0.75}),
    "MobileNetV3Small": (33, {"minimalistic": True, "include_preprocessing": False}),
    "NASNetMobile": (32, {}),
    "ResNet50": (32, {}),
    "ResNet50V2": (32, {}),
    "VGG16": (32, {"include_top": False, "pooling": "avg"}),
    "Xception": (71, {}),
}


def digest(lines: list[str]) -> str:
    """A short digest of lines."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def settings(layer: Any) -> str:
    """A layer's configuration, those inside it included."""
    return json.dumps(layer.get_config(), sort_keys=True)


def describe(model: Any) -> dict[str, Any]:
    """Counts and shape as they are; digests of the names of layers, the shapes of weights and the configurations."""
    return {
        "layers": len(model.layers),
        "parameters": model.count_params(),
        "output": list(model.output_shape),
        "names": digest([f"{type(layer).__name__} {layer.name}" for layer in model.layers]),
        "weights": digest([f"{layer.name} {tuple(w.shape)}" for layer in model.layers for w in layer.weights]),
        "settings": digest([settings(layer) for layer in model.layers]),
    }


def fill(model: Any) -> None:
    """Give a model weights that keep values of the same size from layer to layer, always the same ones."""
    draw = np.random.default_rng(0)
    values = []
    for w in model.weights:
        shape, name = tuple(w.shape), w.path.split("/")[-1]
        if w.path.startswith("normalization/"):  # Keras looks at these when a file is loaded, and not again
            values.append(np.full(shape, name == "variance", w.dtype))
        elif len(shape) > 1:
            inputs = math.prod(
                shape[:2] if len(shape) == 4 and name != "pointwise_kernel" and shape[3] < 3 else shape[:-1]
            )
            values.append(draw.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / inputs)))
        else:
            low, high = (0.8, 1.2) if name in ("gamma", "moving_variance") else (-0.1, 0.1)
            values.append(draw.uniform(low, high, shape).astype(np.float32))
    model.set_weights(values)


def small(applications: Any, name: str, weights: Any = None) -> Any:
    """The small model of a family."""
    size, arguments = SMALL[name]
    arguments = {"classes": 7, "classifier_activation": None, "weights": weights, **arguments}
    return getattr(applications, name)(input_shape=(size, size, 3), **arguments)


def picture(applications: Any, name: str) -> np.ndarray:
    """An image as the small model of a family wants it."""
    size = SMALL[name][0]
    pixels = np.random.default_rng(1).uniform(0, 255, (1, size, size, 3)).astype(np.float32)
    return module_of(applications, name).preprocess_input(pixels)


def module_of(applications: Any, name: str) -> Any:
    """The module of a model."""
    modules = (getattr(applications, m) for m in dir(applications) if m[0].islower())
    found = [m for m in modules if hasattr(m, name) and hasattr(m, "preprocess_input")]
    return found[0] if found else applications.mobilenet_v3  # which Keras exports without its models


def record() -> None:
    import keras
    from keras.src.utils import file_utils

    asked = []

    def get_file(fname: str, origin: str, cache_subdir: str, file_hash: str | None = None) -> str:
        asked.append([fname, origin, file_hash])
        return "nowhere"

    # The drawn values do not count, and there is nothing to load.
    keras.initializers.VarianceScaling.__call__ = lambda self, shape, dtype=None: np.zeros(shape, "float32")
    file_utils.get_file = get_file
    keras.Model.load_weights = lambda self, path: None
    found: dict[str, Any] = {}
    for name in sorted(n for n in dir(keras.applications) if n[0].isupper()):
        print(name, file=sys.stderr, flush=True)
        found[name] = {}
        for kind, top in (("top", True), ("features", False)):
            keras.utils.clear_session()
            asked.clear()
            model = getattr(keras.applications, name)(include_top=top, **({} if top else {"pooling": "avg"}))
            found[name][kind] = {"file": asked[0], **describe(model)}
        if name in SMALL:
            keras.utils.clear_session()
            model = small(keras.applications, name)
            fill(model)
            found[name]["small"] = describe(model)
            values = model.predict(picture(keras.applications, name), verbose=0)[0, :7]
            found[name]["values"] = [float(f"{value:.7g}") for value in values]
    print("{\n" + ",\n".join(f'"{name}": {json.dumps(both)}' for name, both in found.items()) + "\n}")


if __name__ == "__main__":
    record()
