"""A convolution, or a phase of its input gradient, as one walk of windows over the positions of an array."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import gcd, prod
from typing import Any


@dataclass(frozen=True)
class Axis:
    """One spatial axis: result position o sums over taps t what is read at ``o * step + t * spacing + start``.

    Attributes:
        size: positions of the array that is read; those outside count as zero.
        start: where the window of result position 0 begins; negative with padding.
        step: distance of two windows.
        taps, spacing: positions of a window, and their distance.
        out: result positions of this walk.
        first, stride: tap t is the weights' tap ``first + t * stride``.
        full, place, every: result position o is element ``place + o * every`` of the `full` ones along this axis.
    """

    size: int
    start: int
    step: int
    taps: int
    spacing: int
    out: int
    first: int
    stride: int
    full: int
    place: int = 0
    every: int = 1

    @property
    def below(self) -> int:
        """How far the first window reaches before the first position."""
        return max(0, -self.start)

    @property
    def above(self) -> int:
        """How far the last window reaches beyond the last position."""
        last = (self.out - 1) * self.step + (self.taps - 1) * self.spacing + self.start
        return max(0, last - (self.size - 1))

    @property
    def inside(self) -> bool:
        """Whether every window lies within the array."""
        return not self.below and not self.above

    @property
    def plain(self) -> bool:
        """Whether each result position reads the position of its own number and no other."""
        return (
            self.taps == self.step == self.every == 1
            and self.start == self.place == 0
            and self.size == self.out == self.full
        )


@dataclass(frozen=True)
class Walk:
    """Windows over an array (batch, *positions, groups * inner), summed into (batch, *results, groups * outer).

    Attributes:
        batch: images.
        axes: the spatial axes.
        groups, inner, outer: groups of channels, and channels read and written by each.
        window: taps of the weights along each axis of theirs; weights are (*window, inner, groups * outer).
        channelwise: depthwise with one filter a channel: each channel reads itself, `groups` is 1, and the weights are
            (*window, 1, outer).
    """

    batch: int
    axes: tuple[Axis, ...]
    groups: int
    inner: int
    outer: int
    window: tuple[int, ...]
    channelwise: bool = False

    @property
    def read(self) -> int:
        """Channels of the array that is read."""
        return self.outer if self.channelwise else self.groups * self.inner

    @property
    def written(self) -> int:
        """Channels of the result."""
        return self.groups * self.outer

    @property
    def rows(self) -> int:
        """Runs of results along the last axis."""
        return self.batch * prod(a.out for a in self.axes[:-1])

    @property
    def work(self) -> int:
        """Multiply-adds."""
        taps = prod(a.taps * a.out for a in self.axes)
        return self.batch * taps * self.written * (1 if self.channelwise else self.inner)

    def tap_strides(self) -> tuple[int, ...]:
        """How many taps of the weights lie between neighbours along each axis."""
        return tuple(prod(self.window[i + 1 :]) for i in range(len(self.window)))


def forward(x: Sequence[int], kernel: Sequence[int], y: Sequence[int], attrs: dict[str, Any]) -> Walk:
    """The convolution itself, from the shapes of its input, kernel and output."""
    window, groups = tuple(kernel[:-2]), attrs["groups"]
    axes = tuple(
        Axis(size, -low, step, taps, spacing, out, 0, 1, out)
        for size, out, taps, step, (low, _), spacing in zip(
            x[1:-1], y[1:-1], window, attrs["strides"], attrs["padding"], attrs["dilation"], strict=True
        )
    )
    return _walk(x[0], axes, groups, kernel[-2], kernel[-1] // groups, window)


def backward(x: Sequence[int], kernel: Sequence[int], g: Sequence[int], attrs: dict[str, Any]) -> list[Walk]:
    """The walks over the output gradient that together make the input gradient: one for each phase of the strides."""
    window, groups = tuple(kernel[:-2]), attrs["groups"]
    phases: list[tuple[Axis, ...]] = [()]
    for size, out, taps, step, (low, _), spacing in zip(
        x[1:-1], g[1:-1], window, attrs["strides"], attrs["padding"], attrs["dilation"], strict=True
    ):
        found = list(_phases(size, out, taps, step, low, spacing))
        phases = [(*known, axis) for known in phases for axis in found]
    return [_walk(x[0], axes, groups, kernel[-1] // groups, kernel[-2], window) for axes in phases]


def _walk(batch: int, axes: tuple[Axis, ...], groups: int, inner: int, outer: int, window: tuple[int, ...]) -> Walk:
    if groups > 1 and inner == outer == 1:
        return Walk(batch, axes, 1, 1, groups, window, channelwise=True)
    return Walk(batch, axes, groups, inner, outer, window)


def _phases(size: int, out: int, window: int, step: int, low: int, spacing: int) -> Iterator[Axis]:
    """Along one axis, input i receives output o through tap t where ``o * step + t * spacing - low == i``.

    Inputs of one phase ``i % step`` receive from taps that lie `period` apart, the last one first.
    """
    period = step // gcd(step, spacing)
    for phase in range(min(step, size)):
        count = len(range(phase, size, step))
        first = next((t for t in range(min(period, window)) if (phase + low - t * spacing) % step == 0), None)
        if first is None:
            yield Axis(out, 0, 1, 0, 1, count, 0, 1, size, phase, step)
            continue
        taps = (window - 1 - first) // period + 1
        last = first + (taps - 1) * period
        start = (phase + low - last * spacing) // step
        yield Axis(out, start, 1, taps, period * spacing // step, count, last, -period, size, phase, step)


def merged(walk: Walk) -> Walk:
    """The same walk with the last axes joined where each result reads its own position only (a 1x1 window)."""
    axes, window, batch = list(walk.axes), list(walk.window), walk.batch
    while len(axes) > 1 and axes[-1].plain and axes[-2].plain:
        last = axes.pop()
        axes[-1] = _wider(axes[-1], last.size)
        window.pop()
    if len(axes) == 1 and axes[0].plain:
        axes[0], batch = _wider(axes[0], batch), 1
    return replace(walk, batch=batch, axes=tuple(axes), window=tuple(window))


def _wider(axis: Axis, times: int) -> Axis:
    return replace(axis, size=axis.size * times, out=axis.out * times, full=axis.full * times)
