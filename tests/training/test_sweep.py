"""`kcore.sweep`: runs that differ in nothing but their setting."""

from __future__ import annotations

import numpy as np
import pytest

import kcore

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = (X @ np.array([[1.0], [2.0], [-1.0], [0.5]], "float32")) + 0.1


def build(learning_rate=0.01, units=4):
    layers = [kcore.Input((4,)), kcore.layers.Dense(units, "relu"), kcore.layers.Dropout(0.2), kcore.layers.Dense(1)]
    model = kcore.Sequential(layers)
    model.compile(kcore.optimizers.SGD(learning_rate), "mse", metrics=["mae"])
    return model


def test_a_run_does_not_depend_on_the_runs_before_it():
    both = kcore.sweep(build, {"learning_rate": [0.1, 0.01]}, (X, Y), epochs=2, verbose=0)
    alone = kcore.sweep(build, [{"learning_rate": 0.01}], (X, Y), epochs=2, verbose=0)
    assert both[1].history.history == alone[0].history.history
    for a, b in zip(both[1].model.get_weights(), alone[0].model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    other = kcore.sweep(build, [{"learning_rate": 0.01}], (X, Y), epochs=2, verbose=0, seed=1)
    assert other[0].history.history != alone[0].history.history


def test_all_combinations_are_run_and_told(capsys):
    options = {"validation_split": 0.25, "epochs": 2, "callbacks": lambda: [kcore.callbacks.History()]}
    runs = kcore.sweep(build, {"learning_rate": [0.001, 0.05], "units": [2, 3]}, (X, Y), keep_models=False, **options)
    assert [run.params for run in runs] == [
        {"learning_rate": 0.001, "units": 2},
        {"learning_rate": 0.001, "units": 3},
        {"learning_rate": 0.05, "units": 2},
        {"learning_rate": 0.05, "units": 3},
    ]
    assert runs[0].model is None
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("1/4 learning_rate=0.001, units=2: loss: ")
    best = runs.best("val_loss")
    assert min(best.history.history["val_loss"]) == min(min(r.history.history["val_loss"]) for r in runs)
    assert runs.best("val_mae", mode="max").best("val_mae", "max") == max(
        max(r.history.history["val_mae"]) for r in runs
    )
    with pytest.raises(ValueError, match=r"has no 'val_los', it has \['loss', .*val_loss"):
        runs.best("val_los")
    with pytest.raises(ValueError, match="mode must be 'auto', 'min' or 'max', received 'up'"):
        runs.best("loss", mode="up")


def test_a_table_and_a_picture():
    pytest.importorskip("pandas", reason="pandas is not installed")
    runs = kcore.sweep(build, {"units": [2, 3]}, (X, Y), epochs=2, verbose=0)
    table = runs.to_dataframe()
    assert table["units"].tolist() == [2, 3]
    assert table["loss"].tolist() == [run.history.history["loss"][-1] for run in runs]
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    figure = runs.plot("mae")
    texts = {text.get_text().split("\n")[0] for text in figure.findobj(lambda part: hasattr(part, "get_text"))}
    assert {"units=2", "units=3"} <= texts


def always_the_same():
    model = build()
    return lambda units: model


@pytest.mark.parametrize(
    ("make", "grid", "data", "message"),
    [
        (always_the_same, {"units": [1, 2]}, (X, Y), r"build\(units=2\) returned the model of an earlier run again"),
        (lambda: None, [{}], (X, Y), r"build\(\) must return a model, it returned None"),
        (lambda: kcore.Sequential([kcore.layers.Dense(1)]), [{}], (X, Y), "is not compiled"),
        (build, {}, (X, Y), "the grid {} holds no setting"),
        (build, {"units": 3}, (X, Y), "the grid's 'units' must be a list of values, received 3"),
        (build, [{}], iter([(X, Y)]), "data is a list_iterator, which only the first run could read"),
        (build, [{}], (X, Y, Y, Y), "received a tuple of 4"),
    ],
)
def test_what_would_not_be_a_fair_comparison_is_refused(make, grid, data, message):
    make = make() if make is always_the_same else make
    with pytest.raises(ValueError, match=message):
        kcore.sweep(make, grid, data, verbose=0)


def test_a_trained_model_is_refused():
    trained = build()
    trained.fit(X, Y, verbose=0)
    with pytest.raises(ValueError, match=r"was trained before \(1 epoch, 2 steps\); make the model inside build"):
        kcore.sweep(lambda: trained, [{}], (X, Y), verbose=0)
