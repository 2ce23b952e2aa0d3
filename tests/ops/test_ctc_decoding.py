"""`ops.ctc_decode` beside Keras's, and beam search beside the sum over every alignment."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest

from kcore import ops
from kcore.runtime import function
from kcore.runtime.tensor import KerasTensor

keras = pytest.importorskip("keras")
rng = np.random.default_rng(19)
LOGITS = (rng.standard_normal((3, 6, 4)) * 2).astype("float32")
LENGTHS = np.array([6, 4, 1], "int32")


@pytest.mark.parametrize("config", [{}, {"merge_repeated": False}, {"mask_index": 2}, {"mask_index": None}])
def test_greedy_is_keras_s(config):
    paths, scores = keras.ops.ctc_decode(LOGITS, LENGTHS, **config)
    for run in (ops.ctc_decode, function(ops.ctc_decode)):
        got, mine = run(LOGITS, LENGTHS, **config)
        assert (got.dtype, mine.dtype) == ("int32", "float32")
        np.testing.assert_array_equal(got.numpy(), paths)
        np.testing.assert_allclose(mine.numpy(), scores, rtol=1e-5)


@pytest.mark.parametrize("width", [2, 5, 40])
@pytest.mark.parametrize("mask_index", [0, 2, None])
def test_beam_search_is_keras_s(width, mask_index):
    config = {"strategy": "beam_search", "beam_width": width, "top_paths": 2, "mask_index": mask_index}
    with np.errstate(divide="ignore"):
        paths, scores = keras.ops.ctc_decode(LOGITS, LENGTHS, **config)
    for run in (ops.ctc_decode, function(ops.ctc_decode)):
        got, mine = run(LOGITS, LENGTHS, **config)
        np.testing.assert_array_equal(got.numpy(), paths)
        np.testing.assert_allclose(mine.numpy(), scores, rtol=1e-4, atol=1e-5)


def test_a_wide_beam_finds_the_probability_of_every_sequence():
    time, classes = 5, 3
    logits = rng.standard_normal((1, time, classes))
    p = np.exp(logits[0]) / np.exp(logits[0]).sum(-1, keepdims=True)
    sums = defaultdict(float)
    for alignment in itertools.product(range(classes), repeat=time):
        labels = tuple(c for c, _ in itertools.groupby(alignment) if c != 1)
        sums[labels] += np.prod([p[t, c] for t, c in enumerate(alignment)])
    best = sorted(sums.items(), key=lambda item: -item[1])
    paths, scores = ops.ctc_decode(
        logits, [time], strategy="beam_search", beam_width=200, top_paths=len(best) + 1, mask_index=1
    )
    rows = zip(paths.numpy()[:, 0], scores.numpy()[0], strict=True)
    found = {tuple(int(c) for c in path if c >= 0): float(s) for path, s in rows if s > -np.inf}
    assert list(found)[:5] == [labels for labels, _ in best[:5]]
    np.testing.assert_allclose([np.exp(found[labels]) for labels, _ in best], [s for _, s in best], rtol=1e-9)
    assert scores.numpy()[0, -1] == -np.inf and (paths.numpy()[-1] == -1).all()


def test_a_row_without_steps_is_the_empty_sequence():
    paths, scores = ops.ctc_decode(LOGITS[:1], [0], strategy="beam_search", beam_width=3)
    assert (paths.numpy() == -1).all() and scores.numpy().tolist() == [[0.0]]


def test_symbolic_shapes():
    paths, scores = ops.ctc_decode(KerasTensor((None, 6, 4), "float32"), KerasTensor((None,), "int32"))
    assert tuple(paths.shape) == (1, None, 6) and tuple(scores.shape) == (None, 1)
    paths, scores = ops.ctc_decode(
        KerasTensor((2, 6, 4), "float32"), KerasTensor((2,), "int32"), "beam_search", beam_width=4, top_paths=3
    )
    assert tuple(paths.shape) == (3, 2, 6) and tuple(scores.shape) == (2, 3)


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: ops.ctc_decode(LOGITS[0], LENGTHS),
            r"expected inputs \(batch, time, classes\); .* \(6, 4\)",
        ),
        (
            lambda: ops.ctc_decode(LOGITS, LENGTHS, "best"),
            "expected strategy to be 'greedy' or .*'best'",
        ),
        (
            lambda: ops.ctc_decode(LOGITS, LENGTHS, "beam_search", beam_width=2, top_paths=3),
            "expected top_paths from 1 to beam_width=2; received 3",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=f"ctc_decode: {message}"):
        call()
