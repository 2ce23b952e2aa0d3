"""A model's architecture alone, as text: JSON or YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kcore.extras import require
from kcore.registry import public, serialize
from kcore.saving.legacy.models import era_of, reading, translate_model
from kcore.saving.texts import parsed


def to_yaml(model: Any, **options: Any) -> str:
    """A model's configuration as YAML text, for people to read and edit; see `Model.to_json`."""
    yaml = require("yaml", "yaml", "to_yaml()")
    return yaml.safe_dump(json.loads(json.dumps(serialize(model))), **{"sort_keys": False, "width": 120, **options})


@public("keras.models")
def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A model, with fresh weights, from what `Model.to_json` gave, here or in Keras of any version.

    Args:
        json_string: the text.
        custom_objects: names -> classes and functions of your own.

    Raises:
        ValueError: no JSON text, or not that of a model, or that of one with no room in this machine's memory.
        UnknownObjectError: a class or function that nobody registered.

    Example:
        >>> import kcore
        >>> model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2)])
        >>> kcore.models.model_from_json(model.to_json()).output_shape
        (None, 2)

    Source: `keras.models.model_from_json`.
    """
    try:
        config = parsed(json_string)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(
            f"model_from_json() takes what to_json() gave, received {str(json_string)[:80]!r}: {error}"
        ) from None
    return _model("model_from_json()", config, custom_objects)


@public("keras.models")
def model_from_yaml(yaml_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A model, with fresh weights, from what `Model.to_yaml` gave, here or in Keras 2.

    Only plain values are read: a tag that would make a Python object is an error, and so is an alias, with which a
    short text can stand for an endless one.

    Args:
        yaml_string: the text.
        custom_objects: names -> classes and functions of your own.

    Raises:
        ValueError: no YAML text of plain values, or not that of a model.
        UnknownObjectError: a class or function that nobody registered.
        MissingExtraError: PyYAML is not installed.

    Example:
        >>> import kcore
        >>> model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2, name="logits")])
        >>> text = model.to_yaml().replace("units: 2", "units: 5")
        >>> kcore.models.model_from_yaml(text).output_shape
        (None, 5)

    Source: `keras.models.model_from_yaml` of Keras 2.
    """
    yaml = require("yaml", "yaml", "model_from_yaml()")

    class Loader(yaml.SafeLoader):  # type: ignore[name-defined]
        """Plain values without aliases."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise yaml.YAMLError(f"an alias, {self.peek_event().anchor!r}, which is not followed")
            return super().compose_node(parent, index)

    try:
        config = yaml.load(yaml_string, Loader)
    except (yaml.YAMLError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f"model_from_yaml() takes what to_yaml() gave: {' '.join(str(error).split())}") from None
    return _model("model_from_yaml()", config, custom_objects)


def _model(function: str, config: Any, custom_objects: Mapping[str, Any] | None) -> Any:
    if not isinstance(config, Mapping) or "class_name" not in config or "config" not in config:
        raise ValueError(f"{function}: the text does not describe a model: it has no class_name and config")
    from kcore.saving.archive import made_from_text

    version = config.get("keras_version")
    if "module" not in config and (version is not None or isinstance(config["config"], list)):
        with reading(function):
            config = translate_model(config, era_of(version, config), str(version or ""))
    return made_from_text(config, function, custom_objects)
