"""Cross-entropy kernels: loss and gradient in blocks of rows that stay in the cache."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from kcore.backend.kernel import Site, Thunk, kernel

#: Elements per block of rows.
BLOCK = 32768


def _nothing() -> None:
    """Zero elements need no work."""


def _block_rows(node: Any) -> int:
    classes = node.inputs[_wide(node)].shape[-1]
    rows = node.inputs[_wide(node)].size // max(classes, 1)
    return max(1, min(rows, BLOCK // max(classes, 1)))


def _wide(node: Any) -> int:
    """Which input has an axis of classes: the first, or the second where a gradient comes first."""
    return 1 if node.op.name.endswith("_grad") else 0


def _options(inplace: tuple = ()) -> dict[str, Any]:
    def supports(node: Any) -> bool:
        floats = {v.dtype for v in node.inputs if not v.dtype.startswith(("int", "uint"))}
        return floats in ({"float32"}, {"float64"}) and node.inputs[_wide(node)].size > 0

    def scratch(node: Any) -> int:
        rows, classes = _block_rows(node), node.inputs[_wide(node)].shape[-1]
        return 8 * (rows * classes + 4 * rows) + 8 * rows

    return {"backend": "numpy", "supports": supports, "scratch": scratch, "strided": False, "inplace": inplace}


def _plan(site: Site, body: Callable[..., None]) -> Thunk:
    """A thunk that calls ``body(*inputs, *outputs, room)`` on blocks of rows, as 2-D and 1-D arrays."""
    node: Any = site.node
    classes = node.inputs[_wide(node)].shape[-1]
    total = node.inputs[_wide(node)].size // classes
    rows = _block_rows(node)

    def flat(array: np.ndarray | None) -> np.ndarray | None:
        if array is None:
            return None
        return (
            array.reshape(total, classes)
            if array.size == total * classes and array.ndim == wide
            else array.reshape(total)
        )

    wide = len(node.inputs[_wide(node)].shape)
    arrays = [flat(a) for a in (*site.inputs, *site.outputs)]
    room = _Room(site.scratch, rows, classes, arrays[_wide(node)].dtype)  # type: ignore[union-attr]
    blocks = [[None if a is None else a[i : i + rows] for a in arrays] for i in range(0, total, rows)]
    return partial(_each, body, [(block, room.of(min(rows, total - n * rows))) for n, block in enumerate(blocks)])


def _each(body: Callable[..., None], blocks: list) -> None:
    for arrays, room in blocks:
        body(*arrays, room)


class _Room:
    """Working memory of a block: one array of rows by classes, some columns, and the flat positions of labels."""

    def __init__(self, scratch: np.ndarray, rows: int, classes: int, dtype: Any):
        size = dtype.itemsize
        self.full = scratch[: rows * classes * size].view(dtype).reshape(rows, classes)
        start = 8 * rows * classes
        self.columns = scratch[start : start + 4 * rows * size].view(dtype).reshape(4, rows)
        self.at = scratch[start + 32 * rows : start + 40 * rows].view(np.int64)
        self.firsts = np.arange(rows, dtype=np.int64) * classes
        self.classes = classes

    def of(self, rows: int) -> _Room:
        part = object.__new__(_Room)
        part.full, part.columns = self.full[:rows], self.columns[:, :rows]
        part.at, part.firsts, part.classes = self.at[:rows], self.firsts[:rows], self.classes
        return part

    def locate(self, labels: np.ndarray) -> None:
        """Write the flat positions of the labels' elements."""
        np.copyto(self.at, labels, casting="unsafe")
        np.clip(self.at, 0, self.classes - 1, out=self.at)
        np.add(self.at, self.firsts, out=self.at)


def _logsumexp(x: np.ndarray, out: np.ndarray, room: _Room) -> None:
    largest = room.columns[3]
    np.maximum.reduce(x, axis=1, out=largest)
    np.subtract(x, largest[:, None], out=room.full)
    np.exp(room.full, out=room.full)
    np.add.reduce(room.full, axis=1, out=out)
    np.log(out, out=out)
    np.add(out, largest, out=out)


def _softmax_loss(x: Any, target: Any, loss: Any, normalizer: Any, room: _Room) -> None:
    normalizer = room.columns[0] if normalizer is None else normalizer
    _logsumexp(x, normalizer, room)
    if loss is not None:
        np.subtract(normalizer[:, None], x, out=room.full)
        np.multiply(room.full, target, out=room.full)
        np.add.reduce(room.full, axis=1, out=loss)


@kernel("softmax_cross_entropy", **_options())
def softmax_cross_entropy(site: Site) -> Thunk:
    return _plan(site, _softmax_loss)


def _softmax_grad(g: Any, x: Any, target: Any, normalizer: Any, out: Any, room: _Room) -> None:
    total = room.columns[0]
    np.add.reduce(target, axis=1, out=total)
    np.subtract(x, normalizer[:, None], out=out)
    np.exp(out, out=out)
    np.multiply(out, total[:, None], out=out)
    np.subtract(out, target, out=out)
    np.multiply(out, g[:, None], out=out)


@kernel("softmax_cross_entropy_grad", **_options(((0, 1),)))
def softmax_cross_entropy_grad(site: Site) -> Thunk:
    return _plan(site, _softmax_grad)


def _sparse_loss(x: Any, labels: Any, loss: Any, normalizer: Any, room: _Room) -> None:
    normalizer = room.columns[0] if normalizer is None else normalizer
    _logsumexp(x, normalizer, room)
    if loss is not None:
        room.locate(labels)
        x.reshape(-1).take(room.at, 0, loss, "clip")
        np.subtract(normalizer, loss, out=loss)


@kernel("sparse_softmax_cross_entropy", **_options())
def sparse_softmax_cross_entropy(site: Site) -> Thunk:
    return _plan(site, _sparse_loss)


def _sparse_grad(g: Any, x: Any, labels: Any, normalizer: Any, out: Any, room: _Room) -> None:
    room.locate(labels)
    np.subtract(x, normalizer[:, None], out=out)
    np.exp(out, out=out)
    flat = out.reshape(-1)
    flat[room.at] -= out.dtype.type(1.0)
    np.multiply(out, g[:, None], out=out)


@kernel("sparse_softmax_cross_entropy_grad", **_options(((0, 1),)))
def sparse_softmax_cross_entropy_grad(site: Site) -> Thunk:
    return _plan(site, _sparse_grad)


# -- from probabilities ----------------------------------------------------------------------------------------------


def _bounds(site: Site) -> tuple[Any, Any]:
    kind = site.inputs[_wide(site.node)].dtype.type
    return kind(site.attrs["epsilon"]), kind(1.0 - site.attrs["epsilon"])


def _loss(low: Any, high: Any, p: Any, target: Any, loss: Any, room: _Room) -> None:
    total, share = room.columns[0], room.full
    np.add.reduce(p, axis=1, out=total)
    np.divide(p, total[:, None], out=share)
    np.maximum(share, low, out=share)
    np.minimum(share, high, out=share)
    np.log(share, out=share)
    np.multiply(share, target, out=share)
    np.add.reduce(share, axis=1, out=loss)
    np.negative(loss, out=loss)


@kernel("cross_entropy", **_options())
def cross_entropy(site: Site) -> Thunk:
    return _plan(site, partial(_loss, *_bounds(site)))


def _grad(low: Any, high: Any, g: Any, p: Any, target: Any, out: Any, room: _Room) -> None:
    total, along, share = room.columns[0], room.columns[1], room.full
    np.add.reduce(p, axis=1, out=total)
    np.divide(p, total[:, None], out=share)
    # Where clipping changes a share its slope is zero; NaN compares unequal to nothing it should not.
    np.maximum(share, low, out=out)
    np.minimum(out, high, out=out)
    clipped = np.not_equal(out, share)
    np.divide(target, out, out=out)
    np.multiply(out, g[:, None], out=out)
    np.negative(out, out=out)
    if clipped.any():
        out[clipped] = 0
    np.multiply(share, out, out=share)
    np.add.reduce(share, axis=1, out=along)
    np.subtract(out, along[:, None], out=out)
    np.divide(out, total[:, None], out=out)


@kernel("cross_entropy_grad", **_options())
def cross_entropy_grad(site: Site) -> Thunk:
    return _plan(site, partial(_grad, *_bounds(site)))


def _label_share(low: Any, high: Any, p: Any, labels: Any, room: _Room) -> None:
    """Columns: 0 the sums, 1 the label's share, 2 the same clipped; label positions in `room.at`."""
    total, share, clipped = room.columns[0], room.columns[1], room.columns[2]
    room.locate(labels)
    p.reshape(-1).take(room.at, 0, share, "clip")
    np.add.reduce(p, axis=1, out=total)
    np.divide(share, total, out=share)
    np.maximum(share, low, out=clipped)
    np.minimum(clipped, high, out=clipped)


def _label_loss(low: Any, high: Any, p: Any, labels: Any, loss: Any, room: _Room) -> None:
    _label_share(low, high, p, labels, room)
    np.log(room.columns[2], out=loss)
    np.negative(loss, out=loss)


@kernel("sparse_cross_entropy", **_options())
def sparse_cross_entropy(site: Site) -> Thunk:
    return _plan(site, partial(_label_loss, *_bounds(site)))


def _label_grad(low: Any, high: Any, g: Any, p: Any, labels: Any, out: Any, room: _Room) -> None:
    _label_share(low, high, p, labels, room)
    total, share, clipped, slope = room.columns
    np.multiply(clipped, total, out=slope)
    np.divide(g, slope, out=slope)
    np.negative(slope, out=slope)
    np.copyto(slope, 0, where=np.not_equal(clipped, share))
    np.multiply(slope, share, out=share)
    np.negative(share, out=share)
    np.copyto(out, share[:, None])
    flat = out.reshape(-1)
    flat[room.at] += slope


@kernel("sparse_cross_entropy_grad", **_options())
def sparse_cross_entropy_grad(site: Site) -> Thunk:
    return _plan(site, partial(_label_grad, *_bounds(site)))
