"""JSON that may be a stranger's: read in bounded depth."""

from __future__ import annotations

import json
from typing import Any

#: No description of a model is nested to a greater depth.
DEEPEST = 300


def parsed(text: str | bytes) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: it is no JSON, or nested so deeply that it could not be worked with.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    layer, depth = [value], 0
    while layer:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} deep")
        found = [v for v in layer if isinstance(v, dict | list)]
        layer = [inner for v in found for inner in (v.values() if isinstance(v, dict) else v)]
    return value
