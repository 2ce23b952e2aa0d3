"""The bar for loops of one's own averages what Keras's averages, and prints one line where nothing can be redrawn."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("KERAS_BACKEND", "numpy")

from kcore.utils import Progbar

CALLS = [
    (1, [("loss", 3.0), ("rate", 0.5)]),
    (3, [("loss", 1.0), ("rate", 0.25)]),
    (4, [("loss", 2.0)]),
    (4, [("loss", 5.0)]),
]


@pytest.mark.parametrize("names", [{}, {"stateful_metrics": ["rate"]}, {"stateless_metrics": ["rate"]}])
@pytest.mark.parametrize("target", [None, 9, 4])
def test_values_are_averaged_as_keras_does(names, target):
    import keras

    theirs, mine = keras.utils.Progbar(target, verbose=0, **names), Progbar(target, verbose=0, **names)
    for current, values in CALLS:
        theirs.update(current, values)
        mine.update(current, values)
        assert mine.shown == {k: total / count for k, (total, count) in theirs._values.items()}
    theirs.add(1, [("loss", 7.0)])
    mine.add(1, [("loss", 7.0)])
    assert mine.shown == {k: total / count for k, (total, count) in theirs._values.items()}


def test_the_last_step_is_one_line(capsys):
    bar = Progbar(2, unit_name="sample")
    bar.add(1, [("loss", 1.0)])
    assert not capsys.readouterr().out
    bar.add(1, [("loss", 0.5)])
    bar.update(2, finalize=True)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("2/2 - 0s - ") and "/sample - loss: 0.5000" in line


def test_names_are_averaged_or_shown_not_both():
    with pytest.raises(ValueError, match="stateful_metrics or stateless_metrics, not both"):
        Progbar(2, stateful_metrics=[], stateless_metrics=["a"])
