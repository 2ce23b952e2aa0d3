"""One run of training as a picture: a panel per loss or metric, training beside validation."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.callbacks.monitor import direction
from kcore.naming import did_you_mean
from kcore.visualization.runs import Curves, curves_of
from kcore.visualization.style import INK, MUTED, TRAINING, VALIDATION, dress, new_figure, number, save, spread

#: Panels side by side.
COLUMNS = 3


def plot_history(
    history: Any,
    path: str | os.PathLike[str] | None = None,
    metrics: str | Sequence[str] | None = None,
    title: str | None = None,
) -> Any:
    """Draw one run of training.

    Args:
        history: a `History`, the path of a `CSVLogger`'s file, a dict of lists, or a DataFrame.
        path: file to write the picture to; its ending says the format.
        metrics: names of the values to draw, without ``val_``; all of them if None, losses first and the learning
            rate last.
        title: what stands above.

    Returns:
        The matplotlib figure.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ValueError: there is no epoch to draw, or no such value.

    Example:
        >>> figure = plot_history({"loss": [0.9, 0.5], "val_loss": [0.8, 0.6], "accuracy": [0.5, 0.75]})
        >>> [axes.get_title(loc="left") for axes in figure.axes]
        ['loss', 'accuracy']
    """
    curves = curves_of(history, "the history")
    names = _panels(curves, metrics)
    columns = min(COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    figure = new_figure(4.4 * columns + 0.4, 3.1 * rows + (0.4 if title else 0.1))
    if title:
        figure.suptitle(title, x=0.012, ha="left", fontsize=13, fontweight="bold", color=INK)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, name in zip(grid.flat, names, strict=False):
        if _is_rate(name):
            _draw_rate(axes, name, curves[name])
        else:
            _draw(axes, name, curves, getattr(history, "model", None))
    for axes in list(grid.flat)[len(names) :]:
        axes.remove()
    for axes in figure.axes[-columns:]:
        axes.set_xlabel("epoch", fontsize=9, color=MUTED)
    save(figure, path)
    return figure


def _is_rate(name: str) -> bool:
    return name == "lr" or name.startswith("learning_rate")


def _panels(curves: Curves, metrics: str | Sequence[str] | None) -> list[str]:
    """Names of the panels: the loss, other losses, metrics, learning rates."""
    names = list(dict.fromkeys(name.removeprefix("val_") for name in curves))
    if metrics is None:
        return sorted(names, key=lambda n: (_is_rate(n), n != "loss", not n.endswith("_loss"), names.index(n)))
    wanted = [metrics] if isinstance(metrics, str) else list(metrics)
    for name in wanted:
        if name not in names:
            raise ValueError(
                f"there is no {name!r} in the history{did_you_mean(name, names)} It has: {', '.join(names)}"
            )
    return wanted


def _draw(axes: Any, name: str, curves: Curves, model: Any) -> None:
    """Training and validation of one value, each named at its end, and the best epoch of validation."""
    dress(axes, name)
    ends = []
    for key, label, colour, width in (
        (name, "training", TRAINING, 1.6),
        (f"val_{name}", "validation", VALIDATION, 2.0),
    ):
        if key in curves:
            epochs, values = curves[key]
            axes.plot(epochs, values, color=colour, linewidth=width, solid_capstyle="round", marker=_dot(epochs))
            ends.append((float(values[-1]), label, colour))
    last = max(int(curves[key][0][-1]) for key in (name, f"val_{name}") if key in curves)
    first = min(int(curves[key][0][0]) for key in (name, f"val_{name}") if key in curves)
    _limits(axes, [curves[key][1] for key in (name, f"val_{name}") if key in curves])
    _name_ends(axes, ends, first, last)
    way = direction(name, model) or direction(name)
    watched = f"val_{name}" if f"val_{name}" in curves else name
    if way is not None:
        _mark_best(axes, *curves[watched], way, VALIDATION if watched != name else TRAINING)


def _dot(epochs: np.ndarray) -> str | None:
    """A curve of one point is a dot."""
    return "o" if len(epochs) == 1 else None


def _limits(axes: Any, values: list[np.ndarray]) -> None:
    """Room above and below for the marks; values that are not finite do not count."""
    finite = np.concatenate(values)
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return
    low, high = float(finite.min()), float(finite.max())
    room = (high - low) * 0.12 or abs(high) * 0.1 or 0.1
    axes.set_ylim(low - room, high + room)


def _name_ends(axes: Any, ends: list[tuple[float, str, str]], first: int, last: int) -> None:
    """The name of each curve behind its last point, in its colour."""
    axes.set_xlim(first - 0.02 * (last - first) - 0.05, last + max(0.02 * (last - first), 0.05))
    low, high = axes.get_ylim()
    heights = spread([_within(end[0], low, high) for end in ends], 0.085 * (high - low), low, high)
    for height, (_, label, colour) in zip(heights, ends, strict=True):
        axes.annotate(
            label,
            (1.02, height),
            xycoords=("axes fraction", "data"),
            fontsize=8.5,
            color=colour,
            va="center",
            fontweight="bold",
            annotation_clip=False,
        )


def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high) if math.isfinite(value) else high


def _mark_best(axes: Any, epochs: np.ndarray, values: np.ndarray, way: str, colour: str) -> None:
    finite = np.where(np.isfinite(values), values, np.inf if way == "min" else -np.inf)
    best = int(finite.argmin() if way == "min" else finite.argmax())
    if not np.isfinite(values[best]):
        return
    x, y = int(epochs[best]), float(values[best])
    axes.axvline(x, color=colour, linewidth=0.8, linestyle=(0, (2, 3)), alpha=0.6, zorder=1)
    axes.plot([x], [y], "o", color="white", markeredgecolor=colour, markeredgewidth=1.8, markersize=6.5, zorder=5)
    left, right = axes.get_xlim()
    far = (x - left) / (right - left) > 0.55
    axes.annotate(  # beyond the curves: they come down to the best of a loss, and up to that of an accuracy
        f"best {number(y)}, epoch {x}",
        (x, 0.97 if way == "min" else 0.03),
        xycoords=("data", "axes fraction"),
        xytext=(-6 if far else 6, 0),
        textcoords="offset points",
        ha="right" if far else "left",
        va="top" if way == "min" else "bottom",
        fontsize=8.5,
        color=INK,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.9},
        zorder=6,
    )


def _draw_rate(axes: Any, name: str, curve: tuple[np.ndarray, np.ndarray]) -> None:
    """The learning rate, in steps; on a logarithmic scale where it spans more than a factor of ten."""
    epochs, values = curve
    dress(axes, name.replace("_", " "))
    axes.plot(epochs, values, color=MUTED, linewidth=1.6, drawstyle="steps-mid", marker=_dot(epochs))
    if values.min() > 0 and values.max() > 10 * values.min():
        axes.set_yscale("log")
    for place, ha in ((0, "left"), (-1, "right")):
        if place == 0 or values[0] != values[-1]:
            axes.annotate(
                f"{float(values[place]):.3g}",
                (int(epochs[place]), float(values[place])),
                xytext=(0, 7),
                textcoords="offset points",
                ha=ha,
                fontsize=8.5,
                color=INK,
            )
    axes.margins(x=0.02, y=0.25)
