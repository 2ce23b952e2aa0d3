"""A metric beside Keras's: configuration, names of its state, results after each update and after reset."""

from __future__ import annotations

import json
import re

import keras
import numpy as np
import pytest

from kcore import metrics


def plain(config):
    """A configuration without the counted name, arrays as lists."""
    found = {k: np.asarray(v).tolist() if isinstance(v, np.ndarray) else v for k, v in config.items()}
    found["name"] = re.sub(r"_\d+$", "", found["name"])
    return json.loads(json.dumps(found))


def compare(name, config, batches, rtol=2e-5, atol=2e-6):
    """Update both with ``(y_true, y_pred, sample_weight)`` batch by batch; returns kcore's results."""
    theirs, mine = getattr(keras.metrics, name)(**config), getattr(metrics, name)(**config)
    forgotten = {"axis"} if name == "CosineSimilarity" else set()  # by Keras: it loads such a metric with the default
    for metric in (mine, type(mine).from_config(theirs.get_config()), type(theirs).from_config(mine.get_config())):
        written = {key: value for key, value in metric.get_config().items() if key not in forgotten}
        assert plain(written) == plain(theirs.get_config())
    assert plain(type(mine).from_config(mine.get_config()).get_config()) == plain(mine.get_config())
    results = []
    for y_true, y_pred, weight in batches:
        theirs.update_state(y_true, y_pred, sample_weight=weight)
        mine.update_state(y_true, y_pred, sample_weight=weight)
        expected, got = np.asarray(theirs.result()), mine.result()
        assert got.shape == expected.shape and got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol, err_msg=f"{name} {config}")
        results.append(np.asarray(got))
    assert [v.name for v in mine.variables] == [v.name for v in theirs.variables]
    assert [v.shape for v in mine.variables] == [v.shape for v in theirs.variables]
    with np.errstate(invalid="ignore", divide="ignore"):
        for metric in (theirs, mine):
            metric.reset_state()
        np.testing.assert_array_equal(mine.result(), theirs.result())
    return results


@pytest.fixture(name="compare")
def fixture():
    return compare
