"""Decoding of connectionist temporal classification: the label sequences that logits of time steps stand for."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.dtypes import result_type
from kcore.ops.contraction import matmul
from kcore.ops.control import scan
from kcore.ops.creation import one_hot
from kcore.ops.elementwise import (
    cast,
    equal,
    floor_divide,
    greater,
    greater_equal,
    less,
    logaddexp,
    logical_and,
    logical_or,
    maximum,
    mod,
    negative,
    where,
)
from kcore.ops.indexing import _take_along_axis
from kcore.ops.reduction import argmax, log_softmax
from kcore.ops.reduction import max as reduce_max
from kcore.ops.reduction import sum as reduce_sum
from kcore.ops.shape import _tensor, broadcast_to, concatenate, expand_dims, pad, reshape, transpose
from kcore.ops.sorting import argsort, top_k

__all__ = ["ctc_decode"]

#: Stands where there is no label.
NOTHING = -1
#: Logarithm of what cannot be: finite, so that sums of it are numbers.
_NEVER = -1e30
#: Multipliers of the two hashes that tell prefixes apart, odd.
_HASHES = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA77))


def ctc_decode(
    inputs: Any,
    sequence_lengths: Any,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int | None = 0,
) -> tuple[Any, Any]:
    """The label sequences that the logits of a CTC model stand for.

    Args:
        inputs: logits `(batch, time, classes)`.
        sequence_lengths: how many time steps of each row count, `(batch,)`, integers.
        strategy: ``"greedy"`` for the most likely class of each step, or ``"beam_search"`` for the sequences that are
            most likely over all their alignments.
        beam_width: how many sequences a beam search follows.
        top_paths: how many sequences it returns.
        merge_repeated: whether the greedy strategy counts a class that is repeated once.
        mask_index: the class that is the blank; None means the last one.

    Returns: int32 `(1, batch, time)`, or `(top_paths, batch, time)` best first, with -1 behind the labels; and
        `(batch, 1)`, the negative sum of the logits taken, or `(batch, top_paths)`, the logarithms of the
        probabilities, -inf for a sequence that is not there.

    Raises:
        ValueError: another rank, another strategy, or more paths than the beam is wide.

    Example:

    >>> import numpy as np
    >>> from kcore import ops
    >>> logits = np.log(np.array([[[0.1, 0.9, 0.0], [0.2, 0.8, 0.0], [0.9, 0.1, 0.0], [0.1, 0.2, 0.7]]]) + 1e-9)
    >>> ops.ctc_decode(logits, np.array([4]))[0].numpy().tolist()
    [[[1, 2, -1, -1]]]

    Source: `keras.ops.ctc_decode`; Graves, 2012, "Supervised sequence labelling with recurrent neural networks",
    section 7.5.
    """
    inputs = _tensor(inputs)
    if len(inputs.shape) != 3:
        raise ValueError(f"ctc_decode: expected inputs (batch, time, classes); received shape {tuple(inputs.shape)}")
    inputs = cast(inputs, result_type(inputs.dtype, "float32"))
    lengths = cast(_tensor(sequence_lengths), "int32")
    blank = inputs.shape[-1] - 1 if mask_index is None else int(mask_index)
    if strategy == "greedy":
        return _greedy(inputs, lengths, bool(merge_repeated), blank)
    if strategy != "beam_search":
        raise ValueError(f"ctc_decode: expected strategy to be 'greedy' or 'beam_search'; received {strategy!r}")
    if not 0 < top_paths <= beam_width:
        raise ValueError(f"ctc_decode: expected top_paths from 1 to beam_width={beam_width}; received {top_paths}")
    return _beam_search(inputs, lengths, int(beam_width), int(top_paths), blank)


def _greedy(inputs: Any, lengths: Any, merge_repeated: bool, blank: int) -> tuple[Any, Any]:
    time = inputs.shape[1]
    steps = np.arange(time, dtype=np.int32)[None, :]
    over = greater_equal(steps, expand_dims(lengths, -1))
    labels = where(over, np.int32(blank), cast(argmax(inputs, axis=-1), "int32"))
    scores = where(over, np.zeros((), inputs.dtype), reduce_max(inputs, axis=-1))
    empty = equal(labels, np.int32(blank))
    if merge_repeated:
        empty = logical_or(empty, pad(equal(labels[:, 1:], labels[:, :-1]), ((0, 0), (1, 0))))
    order = argsort(where(empty, np.int32(time), steps), axis=-1)  # labels first, in their order
    labels = _take_along_axis(where(empty, np.int32(NOTHING), labels), order, axis=1)
    return expand_dims(labels, 0), negative(reduce_sum(scores, axis=1, keepdims=True))


class _Beam:
    """One step of a prefix search: states are prefixes with the probabilities of ending in a blank or in their label.

    A state is ``(prefix (batch, width, time), length, blank, label, hashes, hashes of the prefix without its last)``,
    the others (batch, width).
    """

    def __init__(self, width: int, classes: int, blank: int, time: int):
        self.width, self.classes, self.blank, self.time = width, classes, blank, time

    def start(self, batch: int, dtype: str) -> tuple[Any, ...]:
        """The empty prefix, and others that cannot be."""
        shape = (batch, self.width)
        first = np.full(shape, _NEVER, dtype)
        first[:, 0] = 0
        none = np.zeros(shape, np.uint32)
        prefix = np.full((*shape, self.time), NOTHING, np.int32)
        state = (prefix, np.zeros(shape, np.int32), first, np.full(shape, _NEVER, dtype), none, none, none, none)
        return tuple(map(_tensor, state))

    def step(self, state: tuple[Any, ...], x: Any) -> tuple[tuple[Any, ...], Any]:
        x, counts = x
        prefix, length, blank, label, *hashes = state
        batch = prefix.shape[0]
        never = np.asarray(_NEVER, blank.dtype)
        total = logaddexp(blank, label)
        last = _pick(prefix, maximum(length - np.int32(1), np.int32(0)))
        x_last = where(greater_equal(last, np.int32(0)), _take_along_axis(x, maximum(last, np.int32(0)), axis=1), never)
        # a prefix stays: by a blank, by its last label again, or as the extension of the one a label shorter
        stay_blank = total + x[:, self.blank : self.blank + 1]
        alive = greater(total, np.asarray(_NEVER / 2, total.dtype))
        same = logical_and(_across(alive, alive, logical_and), _across(length + np.int32(1), length, equal))
        for own, shorter in zip(hashes[:2], hashes[2:], strict=True):
            same = logical_and(same, _across(own, shorter, equal))
        before = where(_across(last, last, equal), expand_dims(blank, 2), expand_dims(total, 2))
        reached = reduce_max(where(same, before, never), axis=1) + x_last
        stay_label = logaddexp(label + x_last, maximum(reached, never))
        # or it is extended, but not to one that is there already
        classes = np.arange(self.classes, dtype=np.int32)
        repeated = equal(expand_dims(last, 2), classes)
        longer = where(repeated, expand_dims(blank, 2), expand_dims(total, 2)) + expand_dims(x, 1)
        there = greater(matmul(cast(same, x.dtype), one_hot(last, self.classes, dtype=x.dtype)), 0.5)
        longer = where(logical_or(there, equal(classes, np.int32(self.blank))), never, longer)
        candidates = [logaddexp(stay_blank, stay_label), reshape(longer, (batch, self.width * self.classes))]
        scores, chosen = top_k(concatenate(candidates, axis=1), self.width)
        stays = less(chosen, np.int32(self.width))
        rest = maximum(chosen - np.int32(self.width), np.int32(0))
        beam = where(stays, chosen, floor_divide(rest, np.int32(self.classes)))
        new = mod(rest, np.int32(self.classes))

        def of(values: Any) -> Any:
            return _take_along_axis(values, beam, axis=1)

        where_to = of(length)
        wide = broadcast_to(expand_dims(beam, 2), (batch, self.width, self.time))
        written = logical_and(equal(expand_dims(where_to, 2), np.arange(self.time, dtype=np.int32)), _not(stays))
        after: list[Any] = [
            where(written, expand_dims(new, 2), _take_along_axis(prefix, wide, axis=1)),
            where_to + where(stays, np.int32(0), np.int32(1)),
            where(stays, of(stay_blank), never),
            where(stays, of(stay_label), scores),
        ]
        mine = [of(h) for h in hashes]
        for own, factor in zip(mine[:2], _HASHES, strict=True):
            after.append(where(stays, own, own * factor + cast(new, "uint32") + np.uint32(1)))
        after += [where(stays, shorter, own) for own, shorter in zip(mine[:2], mine[2:], strict=True)]
        wide_counts = reshape(counts, (batch, 1, 1))
        kept = [where(wide_counts, after[0], prefix)]
        kept += [where(counts, a, b) for a, b in zip(after[1:], state[1:], strict=True)]
        return tuple(kept), ()


def _not(x: Any) -> Any:
    return expand_dims(equal(x, np.zeros((), bool)), 2)


def _across(rows: Any, columns: Any, compare: Any) -> Any:
    """(batch, i, j): row i compared with column j."""
    return compare(expand_dims(rows, 2), expand_dims(columns, 1))


def _pick(prefix: Any, at: Any) -> Any:
    """The label of each prefix at a place."""
    return reshape(_take_along_axis(prefix, expand_dims(at, 2), axis=2), tuple(at.shape))


def _beam_search(inputs: Any, lengths: Any, width: int, top_paths: int, blank: int) -> tuple[Any, Any]:
    batch, time, classes = inputs.shape
    beam = _Beam(width, classes, blank, time)
    x = transpose(log_softmax(inputs, axis=-1), (1, 0, 2))
    counts = expand_dims(less(np.arange(time, dtype=np.int32)[:, None], expand_dims(lengths, 0)), 2)
    state, _ = scan(beam.step, beam.start(batch, inputs.dtype), (x, counts))
    scores, order = top_k(logaddexp(state[2], state[3]), top_paths)
    paths = _take_along_axis(state[0], broadcast_to(expand_dims(order, 2), (batch, top_paths, time)), axis=1)
    there = greater(scores, np.asarray(_NEVER / 2, scores.dtype))
    scores = where(there, scores, np.asarray(-np.inf, scores.dtype))
    paths = where(expand_dims(there, 2), paths, np.int32(NOTHING))
    return transpose(paths, (1, 0, 2)), scores
