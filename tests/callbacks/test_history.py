"""The history: what it keeps, as a table, as a picture."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest

from kcore.callbacks import History
from kcore.errors import MissingExtraError


def test_history_keeps_epochs_and_values():
    history = History()
    history.on_train_begin()
    history.on_epoch_end(3, {"loss": 1.0})
    history.on_epoch_end(4, {"loss": 0.5, "val_loss": 2.0})
    assert history.epoch == [3, 4]
    assert history.history == {"loss": [1.0, 0.5], "val_loss": [2.0]}


def test_fit_s_history_is_the_model_s(model, data):
    history = model.fit(*data, epochs=2, verbose=0)
    assert history is model.history and history.model is model
    assert history.params == {"verbose": 0, "epochs": 2, "steps": 1}
    again = History()
    for _ in range(2):
        model.fit(*data, epochs=2, verbose=0, callbacks=again)
    assert again.epoch == [0, 1] and len(again.history["loss"]) == 4  # as Keras has it


def test_the_table_has_a_row_per_epoch_and_nan_where_nothing_was_measured(model, data):
    history = model.fit(*data, epochs=5, initial_epoch=1, validation_split=0.5, validation_freq=2, verbose=0)
    table = history.to_dataframe()
    assert table.index.tolist() == [1, 2, 3, 4] and table.index.name == "epoch"
    assert table["loss"].tolist() == history.history["loss"]
    assert table["val_loss"].notna().tolist() == [True, False, True, False]
    assert table["val_loss"].dropna().tolist() == history.history["val_loss"]


def test_an_empty_history_is_an_empty_table():
    assert len(History().to_dataframe()) == 0


@pytest.mark.parametrize(
    ("module", "act", "extra"),
    [("pandas", History.to_dataframe, "pandas"), ("matplotlib.figure", History.plot, "plot")],
)
def test_what_is_not_installed_is_named_with_its_command(module, act, extra, monkeypatch):
    for name in [n for n in sys.modules if n.split(".")[0] == module.split(".")[0]]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module.split(".")[0], None)
    history = History()
    history.on_epoch_end(0, {"loss": 1.0})
    with pytest.raises(MissingExtraError, match=rf'pip install "kcore\[{extra}\]"'):
        act(history)


def test_the_picture_is_written_and_given_back(model, data, tmp_path):
    history = model.fit(*data, epochs=3, validation_split=0.25, verbose=0)
    path = tmp_path / "run.png"
    figure = history.plot(path)
    assert path.read_bytes()[:4] == b"\x89PNG"
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "accuracy"]
    drawn = figure.axes[0].lines
    np.testing.assert_array_equal(drawn[0].get_ydata(), history.history["loss"])
    np.testing.assert_array_equal(drawn[1].get_ydata(), history.history["val_loss"])


def test_values_can_be_pickled(model, data):
    history = model.fit(*data, verbose=0)
    assert pickle.loads(pickle.dumps(history.history)) == history.history
