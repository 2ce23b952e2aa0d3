"""A model's diagram as a picture: PNG, SVG, PDF and what else Graphviz draws."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kcore.errors import MissingExtraError
from kcore.registry import public
from kcore.visualization.diagram import model_to_dot


@public("keras.utils")
def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    highlight: str | Sequence[str] = (),
    **kwargs: Any,
) -> Any:
    """Draw a model and save the picture. Needs pydot and Graphviz.

    Args:
        model: a built model; a subclassed one is a single box.
        to_file: the file; its ending says the format: ``png``, ``svg``, ``pdf``, ``dot``, ...
        show_layer_names: show names, not only classes.
        show_shapes, show_dtype, rankdir, expand_nested, dpi, show_layer_activations, show_trainable, splines,
            highlight: see `model_to_dot`.

    Returns:
        In a notebook, a picture that it shows; else None.

    Raises:
        MissingExtraError: pydot or the program ``dot`` of Graphviz is not installed; the message says how to.
        ValueError: see `model_to_dot`; or a format that Graphviz does not have.

    Example:
        >>> import kcore, tempfile
        >>> model = kcore.Sequential([kcore.Input((4,)), kcore.layers.Dense(2)])
        >>> plot_model(model, tempfile.mkdtemp() + "/model.dot", show_shapes=True)

    Source: `keras.utils.plot_model`.
    """
    dot = model_to_dot(
        model,
        show_shapes=show_shapes,
        show_dtype=show_dtype,
        show_layer_names=show_layer_names,
        rankdir=rankdir,
        expand_nested=expand_nested,
        dpi=dpi,
        show_layer_activations=show_layer_activations,
        show_trainable=show_trainable,
        splines=splines,
        highlight=highlight,
        **kwargs,
    )
    path = Path(to_file)
    kind = path.suffix[1:].lower() or "png"
    if not path.suffix:
        path = path.with_suffix(".png")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"plot_model: {path} cannot be written: there is no folder {path.parent}")
    if kind == "dot":
        path.write_text(dot.to_string(), encoding="utf-8")
        return None
    if shutil.which("dot") is None:
        raise MissingExtraError(
            "plot_model needs the program 'dot' of Graphviz, which is not on the PATH; install it with your system's "
            "packages (apt install graphviz, brew install graphviz, https://graphviz.org/download). "
            "model_to_dot(), and a file that ends in .dot, do without it"
        )
    try:
        picture = dot.create(prog="dot", format=kind)
    except Exception as error:  # pydot raises bare exceptions; dot's own words are in them
        raise ValueError(f"Graphviz could not draw model {model.name!r} as {kind!r}: {error}") from error
    path.write_bytes(picture)
    return _shown(path, kind)


def _shown(path: Path, kind: str) -> Any:
    """The picture as a notebook shows it; None elsewhere."""
    if "IPython" not in sys.modules or sys.modules["IPython"].get_ipython() is None:
        return None
    from IPython import display

    if kind == "svg":
        return display.SVG(filename=str(path))
    return display.Image(filename=str(path)) if kind in ("png", "jpg", "jpeg", "gif") else None
