"""Connectionist temporal classification: the probability of a label sequence over all its alignments, by scans."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.dtypes import result_type
from kcore.graph.op import In, Spec, composite, sample
from kcore.ops.control import scan
from kcore.ops.elementwise import add, cast, exp, greater, less, logaddexp, logical_and, negative, not_equal, where
from kcore.ops.indexing import _take_along_axis
from kcore.ops.reduction import log_softmax, logsumexp
from kcore.ops.shape import broadcast_to, concatenate, expand_dims, pad, reshape, stack, transpose
from kcore.runtime import convert_to_tensor
from kcore.runtime.tape import vjp

__all__ = ["ctc_loss"]

#: Logarithm of what cannot be: finite, so that a sequence too long for its time has a loss (about 1e5) and a gradient.
_NEVER = -1e5
#: Logarithm of what does not count.
_NOTHING = -1e30


def _ints(*values: Any) -> In:
    array = np.asarray(values, dtype=np.int32)
    return In(array.shape, dtype="int32", value=array)


def _infer(logits: Spec, labels: Spec, label_lengths: Spec, logit_lengths: Spec, *, blank: int) -> tuple[Spec, ...]:
    given = (
        f"target {labels}, output {logits}, target_length {label_lengths} and output_length {logit_lengths}; "
        "expected (batch, labels), (batch, time, classes), (batch,) and (batch,)"
    )
    specs = (logits, labels, label_lengths, logit_lengths)
    if [s.ndim for s in specs] != [3, 2, 1, 1]:
        raise ValueError(f"ctc_loss: wrong ranks: received {given}")
    if len({s.shape[0] for s in specs} - {None}) > 1:
        raise ValueError(f"ctc_loss: batch sizes differ: received {given}")
    if any("int" not in s.dtype for s in specs[1:]):
        raise ValueError(f"ctc_loss: labels and lengths must be integers: received {given}")
    classes = logits.shape[2]
    if classes is not None and not 0 <= blank < classes:
        raise ValueError(f"ctc_loss: mask_index {blank} is none of the {classes} classes of output {logits}")
    dtype = result_type(logits.dtype, "float32")
    states = None if labels.shape[1] is None else 2 * labels.shape[1] + 1
    return Spec((logits.shape[0],), dtype), Spec((logits.shape[1], logits.shape[0], states), dtype)


class _Lattice:
    """States ``(batch, 2n + 1)``, the labels with blanks around them, and what is emitted where and when.

    Attributes:
        classes: the class of each state.
        jump: logarithm of whether a state may follow the last but one: two labels that differ need no blank between.
        emissions: ``(time, batch, states)``, log-probability of each state's class.
        counts: ``(time, batch, 1)``, whether a time step counts.
        ends: ``(batch, states)``, logarithm of whether a sequence may end there.
    """

    def __init__(self, logits: Any, labels: Any, label_lengths: Any, logit_lengths: Any, blank: int):
        batch, n = labels.shape
        labels = cast(labels, dtype="int32")
        states, blanks = 2 * n + 1, np.full((batch, n), blank, "int32")
        pairs = reshape(stack([convert_to_tensor(blanks), labels], axis=-1), (batch, 2 * n))
        self.classes = concatenate([pairs, convert_to_tensor(blanks[:, :1])], axis=-1)
        odd = np.arange(states - 2) % 2 == 1
        differ = logical_and(not_equal(self.classes[:, 2:], self.classes[:, :-2]), odd)
        dtype = result_type(logits.dtype, "float32")
        never = np.asarray(_NEVER, dtype)
        self.jump = pad(where(differ, never * 0, never), ((0, 0), (2, 0)))
        self.emissions = self.emit(cast(logits, dtype=dtype))
        steps = np.arange(logits.shape[1], dtype="int32")[:, None]
        self.counts = expand_dims(less(steps, expand_dims(cast(logit_lengths, dtype="int32"), 0)), -1)
        last = expand_dims(cast(label_lengths, dtype="int32"), -1) * 2
        at = np.arange(states, dtype="int32")[None, :]
        inside = logical_and(greater(at, last - 2), less(at, last + 1))
        self.ends = where(inside, never * 0, np.asarray(_NOTHING, dtype))

    def emit(self, logits: Any) -> Any:
        """``(time, batch, states)``: log-probability of each state's class at each time."""
        batch, time, _ = logits.shape
        chosen = broadcast_to(expand_dims(self.classes, 1), (batch, time, self.classes.shape[-1]))
        return transpose(_take_along_axis(log_softmax(logits, axis=-1), chosen, axis=2), (1, 0, 2))

    def forward(self) -> tuple[Any, Any]:
        """Log-probability of the emissions so far and of being in a state: after the last step, and after each."""

        def step(before: Any, x: Any) -> Any:
            emission, counts = x
            reached = logaddexp(before, _moved(before, 1))
            reached = logaddexp(reached, _moved(before, 2) + self.jump)
            after = where(counts, add(reached, emission), before)
            return after, after

        shape = self.emissions.shape[1:]
        begin = np.where(np.arange(shape[1]) == 0, 0.0, _NEVER).astype(self.emissions.dtype)
        return scan(step, broadcast_to(convert_to_tensor(begin), shape), (self.emissions, self.counts))

    def backward(self) -> Any:
        """``(time, batch, states)``: log-probability of the emissions to come and of a right end, from each state."""

        def step(after: Any, x: Any) -> Any:
            emission, counts = x
            paid = add(after, emission)
            before = logaddexp(logaddexp(paid, _moved(paid, -1)), _moved(paid + self.jump, -2))
            return where(counts, before, after), after

        return scan(step, self.ends, (self.emissions, self.counts), reverse=True)[1]


def _moved(x: Any, by: int) -> Any:
    """States moved to the right, or to the left; what comes in from outside can never be."""
    if by > 0:
        return pad(x[:, :-by], ((0, 0), (by, 0)), constant_values=_NEVER)
    return pad(x[:, -by:], ((0, 0), (0, -by)), constant_values=_NOTHING)


_SAMPLES = [
    ((2, 4, 4), _ints([1, 2], [3, 0]), _ints(2, 1), _ints(4, 4), 0),
    ((3, 5, 3), _ints([1, 1, 2], [2, 0, 0], [0, 0, 0]), _ints(3, 1, 0), _ints(5, 3, 2), 0),
    ((1, 6, 3), _ints([0, 1]), _ints(2), _ints(6), 2),
]


@composite(
    "losses",
    "ctc_loss",
    infer=_infer,
    residuals=1,
    bounds={"labels": lambda specs, attrs: specs[0].shape[-1]},
    tolerance={"float32": (2e-5, 2e-5)},
    samples=[sample(shape, y, n, t, blank=blank) for shape, y, n, t, blank in _SAMPLES],
)
def _ctc_loss(logits, labels, label_lengths, logit_lengths, *, blank):
    """Negative log-probability of each label sequence, and for the gradient the forward variables of all times.

    Graves et al., 2006, section 4.1, in logarithms.
    """
    lattice = _Lattice(logits, labels, label_lengths, logit_lengths, blank)
    last, forward = lattice.forward()
    return negative(logsumexp(add(last, lattice.ends), axis=-1)), forward


@_ctc_loss.gradient
def _(ctx, g, g_forward):
    if g_forward is not None:  # a gradient of the gradient
        return vjp(lambda *x: _ctc_loss.fn(*x, **ctx.attrs), ctx.inputs, (g, g_forward))
    lattice = _Lattice(*ctx.inputs, **ctx.attrs)
    losses, forward = ctx.outputs
    # how sure it is to be in a state at a time
    share = exp(forward + lattice.backward() + expand_dims(losses, -1))
    pulled = where(lattice.counts, negative(share * expand_dims(g, -1)), np.zeros((), share.dtype))
    return (*vjp(lambda x: lattice.emit(cast(x, dtype=share.dtype)), ctx.inputs[:1], (pulled,)), None, None, None)


def ctc_loss(target: Any, output: Any, target_length: Any, output_length: Any, mask_index: int = 0) -> Any:
    """Connectionist temporal classification: negative log-probability of label sequences over all their alignments.

    An alignment gives each time step a class or the blank; repeated classes count once, unless a blank lies between
    them. Computed forward and backward in logarithms, in time proportional to ``time * labels``.

    Args:
        target: classes `(batch, labels)`, integers.
        output: logits `(batch, time, classes)`.
        target_length: how many labels of each row count, `(batch,)`, integers.
        output_length: how many time steps of each row count, `(batch,)`, integers.
        mask_index: the class that is the blank.

    Returns: losses `(batch,)`, float32 or float64; about 1e5 where the time is too short for the labels.

    Raises:
        ValueError: if ranks or batch sizes differ from that, or a label is out of range.

    Example:

    >>> import numpy as np
    >>> from kcore import ops
    >>> one, two = np.array([1], "int32"), np.array([2], "int32")
    >>> loss = ops.ctc_loss(np.array([[1]]), np.zeros((1, 2, 2), "float32"), one, two)
    >>> round(float(loss[0]), 4)  # three of the four paths
    0.2877

    Source: `keras.ops.ctc_loss`; Graves et al., 2006, "Connectionist Temporal Classification".
    """
    output = convert_to_tensor(output)
    labels, label_lengths, steps = (
        x if "int" in x.dtype else cast(x, dtype="int32")
        for x in map(convert_to_tensor, (target, target_length, output_length))
    )
    if labels.shape[-1:] == (0,):
        labels = pad(labels, ((0, 0), (0, 1)))
    return _ctc_loss(output, labels, label_lengths, steps, blank=int(mask_index))[0]
