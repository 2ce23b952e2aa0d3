"""Pictures of runs: what is drawn, from whatever keeps a run."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas
import pytest

import kcore
from kcore.callbacks import CSVLogger, History
from kcore.visualization import plot_history
from kcore.visualization.runs import curves_of
from kcore.visualization.style import spread

LOGS = [
    {"loss": 1.0, "val_loss": 1.1, "accuracy": 0.5, "val_accuracy": 0.4, "learning_rate": 0.1},
    {"loss": 0.5, "val_loss": 0.6, "accuracy": 0.7, "val_accuracy": 0.8, "learning_rate": 0.01},
    {"loss": 0.25, "val_loss": 0.9, "accuracy": 0.9, "val_accuracy": 0.7, "learning_rate": 0.001},
]


def history_of(logs=LOGS):
    history = History()
    history.on_train_begin()
    for epoch, values in enumerate(logs):
        history.on_epoch_end(epoch, values)
    return history


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_a_panel_per_value_losses_first_and_the_rate_last():
    figure = plot_history(history_of(), title="a run")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["loss", "accuracy", "learning rate"]
    assert figure.get_suptitle() == "a run"
    loss, accuracy, rate = figure.axes
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), [1.0, 0.5, 0.25])
    np.testing.assert_array_equal(loss.lines[1].get_xdata(), [1, 2, 3])
    assert "best 0.600, epoch 2" in texts(loss) and "best 0.800, epoch 2" in texts(accuracy)
    assert {"training", "validation"} <= set(texts(loss))
    assert rate.get_yscale() == "log" and texts(rate) == ["0.1", "0.001"]


def test_one_epoch_is_a_dot_and_without_validation_the_best_is_training_s():
    figure = plot_history({"loss": [0.5]})
    assert figure.axes[0].lines[0].get_marker() == "o"
    assert texts(figure.axes[0]) == ["training", "best 0.500, epoch 1"]


def test_a_value_whose_direction_is_not_known_has_no_best():
    assert texts(plot_history({"seconds": [3.0, 2.0]}).axes[0]) == ["training"]


def test_values_that_are_no_numbers_are_drawn_around():
    figure = plot_history({"loss": [1.0, float("inf"), 0.5], "val_loss": [2.0, float("nan"), float("nan")]})
    low, high = figure.axes[0].get_ylim()
    assert 0 < low < 0.5 and 2 < high < 3
    assert "best 2, epoch 1" in texts(figure.axes[0])
    figure.canvas.draw()


def test_chosen_values_are_drawn_in_their_order_and_unknown_ones_named():
    figure = history_of().plot(metrics=["accuracy", "loss"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["accuracy", "loss"]
    with pytest.raises(ValueError, match="there is no 'acuracy' in the history; did you mean 'accuracy'"):
        history_of().plot(metrics="acuracy")
    with pytest.raises(ValueError, match="the history holds no values to draw: it has not finished an epoch"):
        History().plot()


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_the_ending_of_the_file_says_the_format(tmp_path, kind):
    path = tmp_path / f"run.{kind}"
    plot_history(history_of(), path)
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml", b"%PDF-")


def test_a_notebook_shows_the_figure():
    assert plot_history(history_of())._repr_png_()[:4] == b"\x89PNG"


def test_drawing_needs_no_screen_no_pyplot_and_no_backend():
    program = (
        "import sys, warnings\nfrom kcore.visualization import plot_history\n"
        "plot_history({'loss': [1.0, 0.5], 'accuracy': [0.1, 0.2]})._repr_png_()\n"
        "print([m for m in ('matplotlib.pyplot', 'tkinter', 'kcore_numpy', 'kcore_opencl') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- what keeps a run ------------------------------------------------------------------------------------------------


def test_a_history_a_file_a_dict_and_a_table_are_one_run(tmp_path):
    history, path = history_of(), tmp_path / "log.csv"
    logger = CSVLogger(path, separator=";")
    logger.on_train_begin()
    for epoch, values in enumerate(LOGS):
        logger.on_epoch_end(epoch, values)
    logger.on_train_end()
    wanted = curves_of(history)
    for run in (path, str(path), history.history, history.to_dataframe(), pandas.read_csv(path, sep=";")):
        got = curves_of(run)
        assert got.keys() == wanted.keys()
        for name, (epochs, values) in wanted.items():
            np.testing.assert_array_equal(got[name][0], epochs)
            np.testing.assert_array_equal(got[name][1], values)


def test_a_file_with_gaps_and_a_torn_row_is_read(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss,val_loss\n4,1.0,NA\n5,0.5,0.75\n6,0.2")
    curves = curves_of(path)
    assert curves["loss"][0].tolist() == [5, 6] and curves["val_loss"][0].tolist() == [6]


def test_rarer_validation_lies_at_its_epochs(tmp_path):
    logs = [{"loss": 1.0}, {"loss": 0.9, "val_loss": 1.0}, {"loss": 0.8}, {"loss": 0.7, "val_loss": 0.9}]
    assert curves_of(history_of(logs))["val_loss"][0].tolist() == [2, 4]


@pytest.mark.parametrize(
    ("run", "kind", "message"),
    [
        (3, TypeError, "run 'a': expected a History, the path of a CSVLogger's file, .* received 3 of type int"),
        ({"loss": []}, ValueError, "run 'a' holds no values"),
        ({"acc": [1.0]}, ValueError, "run 'a' has no 'loss'.* It has: acc"),
    ],
)
def test_what_is_no_run_is_named(run, kind, message):
    with pytest.raises(kind, match=message):
        kcore.compare_runs({"a": run})


def test_a_file_that_is_no_log_is_named(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("dear diary\n")
    with pytest.raises(ValueError, match=r"notes\.txt is no file of a CSVLogger: it begins with 'dear diary'"):
        kcore.compare_runs({"a": path})


# -- several runs ----------------------------------------------------------------------------------------------------


def test_runs_are_named_at_their_ends_with_their_best(tmp_path):
    path = tmp_path / "runs.png"
    figure = kcore.compare_runs({"one": history_of(), "two": {"loss": [0.9, 0.3]}}, path=path, title="rates")
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "rates"
    assert set(texts(axes)) == {"one\nbest 0.600, epoch 2", "two\nbest 0.300, epoch 2"}
    assert path.exists()
    assert axes.get_title(loc="right").startswith("validation")
    dashed = [line for line in axes.lines if line.get_linewidth() == 1.0]
    np.testing.assert_array_equal(dashed[0].get_ydata(), [1.0, 0.5, 0.25])  # training, where there is validation


def test_accuracies_rise_and_val_asks_for_validation_alone():
    figure = kcore.compare_runs({"one": history_of(), "two": history_of()}, "val_accuracy", log_scale=True)
    assert set(texts(figure.axes[0])) == {"one\nbest 0.800, epoch 2", "two\nbest 0.800, epoch 2"}
    assert figure.axes[0].get_yscale() == "log"
    assert all(line.get_linewidth() != 1.0 for line in figure.axes[0].lines)


def test_many_runs_have_colours_or_lines_of_their_own_and_labels_that_do_not_touch():
    runs = {f"run {i}": {"loss": [1.0, 0.5 + 0.001 * i]} for i in range(14)}
    figure = kcore.compare_runs(runs)
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    looks = {(line.get_color(), str(line.get_linestyle())) for line in lines}
    assert len(lines) == len(looks) == 14
    figure.canvas.draw()
    boxes = sorted((text.get_window_extent() for text in figure.axes[0].texts), key=lambda box: box.y0)
    assert all(above.y0 >= below.y1 - 1 for below, above in zip(boxes, boxes[1:], strict=False))


def test_no_runs_are_refused():
    with pytest.raises(ValueError, match="takes a dict of runs by name"):
        kcore.compare_runs({})
    with pytest.raises(ValueError, match="takes a dict of runs by name"):
        kcore.compare_runs([history_of()])


def test_spread_labels_stay_in_order_apart_and_inside():
    places = [0.99, 1.0, 0.0, 0.01, 0.5]
    placed = spread(places, 0.1, 0.0, 1.0)
    order = sorted(range(5), key=lambda i: placed[i])
    assert order == sorted(range(5), key=lambda i: places[i])
    ordered = [placed[i] for i in order]
    assert all(b - a >= 0.1 - 1e-9 for a, b in zip(ordered, ordered[1:], strict=False))
    assert 0 <= ordered[0] and ordered[-1] <= 1
