"""Several runs of training in one picture, to see which is better and from when on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from kcore.callbacks.monitor import direction
from kcore.naming import did_you_mean
from kcore.visualization.runs import curves_of
from kcore.visualization.style import MUTED, RUNS, dress, new_figure, number, save, spread


def compare_runs(
    runs: Mapping[str, Any],
    metric: str = "loss",
    path: str | os.PathLike[str] | None = None,
    title: str | None = None,
    log_scale: bool = False,
) -> Any:
    """Draw one value of several runs, each named at the end of its curve with its best value.

    Args:
        runs: name -> run: a `History`, the path of a file that a `CSVLogger` wrote, a dict of lists or a DataFrame.
        metric: what to draw: with ``val_`` that value alone; without, validation as a full line and training as a
            thin broken one, where there are both.
        path: file to write the picture to; its ending says the format.
        title: what stands above; the metric's name if None.
        log_scale: a logarithmic scale.

    Returns:
        The matplotlib figure; a notebook shows it.

    Raises:
        MissingExtraError: matplotlib is not installed.
        TypeError: a run is none of these.
        ValueError: there are no runs, or one does not have the metric.

    Example:
        >>> slow, fast = {"loss": [0.9, 0.8, 0.7]}, {"loss": [0.9, 0.4, 0.3]}
        >>> figure = compare_runs({"rate 0.01": slow, "rate 0.1": fast})
        >>> sorted(text.get_text() for text in figure.axes[0].texts)
        ['rate 0.01\\nbest 0.700, epoch 3', 'rate 0.1\\nbest 0.300, epoch 3']
    """
    if not isinstance(runs, Mapping) or not runs:
        raise ValueError(f"compare_runs takes a dict of runs by name, {{'small': history, ...}}, received {runs!r}")
    drawn = {str(name): _curves(str(name), run, metric) for name, run in runs.items()}
    way = next((w for w in (direction(metric, getattr(run, "model", None)) for run in runs.values()) if w), None)
    way = way or direction(metric)
    figure = new_figure(8.2, 4.4 if len(drawn) <= 6 else 4.4 + 0.35 * (len(drawn) - 6))
    axes = figure.subplots()
    both = any(thin is not None for _, thin in drawn.values())
    main = "validation" if not metric.startswith("val_") and any(m[0] == "val_" for m, _ in drawn.values()) else ""
    dress(axes, title or metric)
    colours = dict(zip(drawn, (RUNS[i % len(RUNS)] for i in range(len(drawn))), strict=True))
    for index, (name, ((_, epochs, values), thin)) in enumerate(drawn.items()):
        style = ("-", (0, (4, 1.5)), (0, (1, 1)))[index // len(RUNS) % 3]
        if thin is not None:
            axes.plot(*thin, color=colours[name], linewidth=1.0, linestyle=(0, (2, 2)), alpha=0.55)
        axes.plot(
            epochs,
            values,
            color=colours[name],
            linewidth=2.0,
            linestyle=style,
            solid_capstyle="round",
            marker="o" if len(epochs) == 1 else None,
        )
    if log_scale:
        axes.set_yscale("log")
    _label(axes, {name: (epochs, values) for name, ((_, epochs, values), _) in drawn.items()}, colours, way)
    axes.set_xlabel("epoch", fontsize=9, color=MUTED)
    if both:
        axes.set_title("validation ——   training - - -", loc="right", fontsize=8.5, color=MUTED, pad=8)
    elif main:
        axes.set_title(main, loc="right", fontsize=8.5, color=MUTED, pad=8)
    save(figure, path)
    return figure


def _curves(name: str, run: Any, metric: str) -> tuple[tuple[str, Any, Any], tuple[Any, Any] | None]:
    """The main curve of a run, with its prefix, and that of training where the main one is validation."""
    curves = curves_of(run, f"run {name!r}")
    if f"val_{metric}" in curves:
        return ("val_", *curves[f"val_{metric}"]), curves.get(metric)
    if metric not in curves:
        raise ValueError(
            f"run {name!r} has no {metric!r}{did_you_mean(metric, curves)} It has: {', '.join(sorted(curves))}"
        )
    return ("", *curves[metric]), None


def _label(axes: Any, drawn: dict[str, tuple[Any, Any]], colours: dict[str, str], way: str | None) -> None:
    """The name of each run behind the end of its curve, with its best value, which is marked in the curve."""
    last = max(int(epochs[-1]) for epochs, _ in drawn.values())
    first = min(int(epochs[0]) for epochs, _ in drawn.values())
    axes.set_xlim(first - 0.02 * (last - first) - 0.05, last + max(0.02 * (last - first), 0.05))
    axes.margins(y=0.08)
    axes.autoscale_view(scalex=False)
    to_share = axes.transData + axes.transAxes.inverted()
    shares = [to_share.transform((last, _last_finite(values)))[1] for _, values in drawn.values()]
    least = min(0.115, 1.08 / max(len(drawn), 1))
    for place, (name, (epochs, values)) in zip(spread(shares, least, 0.0, 1.0), drawn.items(), strict=True):
        text = name
        if way is not None:
            finite = np.where(np.isfinite(values), values, np.inf if way == "min" else -np.inf)
            best = int(finite.argmin() if way == "min" else finite.argmax())
            if np.isfinite(values[best]):
                text += f"\nbest {number(float(values[best]))}, epoch {int(epochs[best])}"
                axes.plot(
                    epochs[best : best + 1],
                    values[best : best + 1],
                    "o",
                    color="white",
                    markeredgecolor=colours[name],
                    markeredgewidth=1.8,
                    markersize=6.5,
                    zorder=5,
                )
        axes.annotate(
            text,
            (1.015, place),
            xycoords="axes fraction",
            fontsize=8.5,
            color=colours[name],
            va="center",
            fontweight="bold",
            linespacing=1.25,
            annotation_clip=False,
        )


def _last_finite(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if finite.size else 0.0
