"""How curves look: colours, frames, numbers, and labels that do not lie on each other."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import Any

from kcore.extras import require

INK, MUTED, GRID = "#222b38", "#6b7685", "#e4e8ee"
#: Training and validation; told apart by people who see few colours, too.
TRAINING, VALIDATION = "#7f93ad", "#c2410c"
#: One colour per run (after Okabe and Ito), the first ones the farthest apart.
RUNS = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#b8860b", "#56b4e9", "#444444", "#cc6677", "#117733", "#882255")


def new_figure(width: float, height: float) -> Any:
    """A figure that needs no window: it is not pyplot's, a notebook shows it by itself.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figures = require("matplotlib.figure", "plot", "a picture of a run")

    class RunFigure(figures.Figure):  # type: ignore[name-defined]
        """A matplotlib figure that notebooks show."""

        def _repr_png_(self) -> bytes:
            file = io.BytesIO()
            self.savefig(file, format="png")
            return file.getvalue()

    return RunFigure(figsize=(width, height), dpi=144, facecolor="white", layout="constrained")


def save(figure: Any, path: str | os.PathLike[str] | None) -> None:
    """Write a figure to a file, if a path is given."""
    if path is not None:
        figure.savefig(path)


def dress(axes: Any, title: str) -> None:
    """The frame of one panel: its name above, a light grid, only the bottom line."""
    axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold", color=INK, pad=8)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#b6bfca")
    axes.tick_params(which="both", colors=MUTED, labelsize=8.5, length=0, pad=5)
    ticks = require("matplotlib.ticker", "plot")
    axes.xaxis.set_major_locator(ticks.MaxNLocator(6, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def number(value: float) -> str:
    """A value with three or four digits that matter.

    Example:
        >>> number(0.97654), number(0.000123), number(1234.5), number(0.0)
        ('0.977', '1.23e-04', '1234', '0')
    """
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1:
        return f"{value:.3f}"
    return f"{value:.4g}" if 1 <= abs(value) < 1e5 else f"{value:.2e}"


def spread(places: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Places for labels: each near its own, no two closer than `least`, all between `low` and `high` if they fit.

    Example:
        >>> [round(place, 2) for place in spread([0.5, 0.52, 0.1], 0.1, 0.0, 1.0)]
        [0.46, 0.56, 0.1]
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    groups: list[list[Any]] = []  # [centre, members]
    for i in order:
        groups.append([places[i], [i]])
        while True:
            for group in groups:
                half = least * (len(group[1]) - 1) / 2
                group[0] = min(max(group[0], low + half), max(high - half, low + half))
            if len(groups) < 2:
                break
            below, above = groups[-2], groups[-1]
            if above[0] - below[0] >= least * (len(below[1]) + len(above[1])) / 2:
                break
            members = below[1] + above[1]
            groups[-2:] = [[sum(places[j] for j in members) / len(members), members]]
    placed = [0.0] * len(places)
    for centre, members in groups:
        for k, i in enumerate(members):
            placed[i] = centre + least * (k - (len(members) - 1) / 2)
    return placed
