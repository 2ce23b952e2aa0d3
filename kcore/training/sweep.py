"""Comparing settings fairly: a fresh model for each, on the same data, from the same seed."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kcore.extras import require
from kcore.naming import did_you_mean
from kcore.runtime import set_random_seed


@dataclass
class Run:
    """One run of a sweep.

    Attributes:
        params: what `build` was called with.
        history: what `fit` returned.
        model: the trained model; None if it was not kept.
        seconds: how long building and training took.
    """

    params: dict[str, Any]
    history: Any
    model: Any
    seconds: float

    @property
    def label(self) -> str:
        """The settings in one line: ``learning_rate=0.01, units=64``."""
        return ", ".join(f"{name}={value}" for name, value in self.params.items())

    def best(self, metric: str, mode: str = "auto") -> float:
        """The best value a metric reached in any epoch."""
        return (max if _larger_is_better(metric, mode) else min)(_values(self, metric))


class Sweep(Sequence[Run]):
    """The runs of `kcore.sweep` in order: a sequence of `Run`."""

    def __init__(self, runs: Sequence[Run]):
        self._runs = list(runs)

    def __len__(self) -> int:
        return len(self._runs)

    def __getitem__(self, index: Any) -> Any:
        return Sweep(self._runs[index]) if isinstance(index, slice) else self._runs[index]

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def best(self, metric: str = "val_loss", mode: str = "auto") -> Run:
        """The run in which a metric reached its best value.

        Args:
            metric: a name from the histories.
            mode: ``"min"``, ``"max"``, or ``"auto"``: losses and errors want to be small, all else large.

        Raises:
            ValueError: no such metric was recorded; near names are shown.
        """
        return (max if _larger_is_better(metric, mode) else min)(self, key=lambda run: run.best(metric, mode))

    def to_dataframe(self) -> Any:
        """A pandas DataFrame with a row per run: settings, the last value of every metric, seconds.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        pandas = require("pandas", "pandas", "Sweep.to_dataframe()")
        rows = [
            {**run.params, **{name: values[-1] for name, values in run.history.history.items()}, "seconds": run.seconds}
            for run in self
        ]
        return pandas.DataFrame(rows)

    def plot(self, metric: str | None = None, path: str | os.PathLike[str] | None = None) -> Any:
        """One picture with a curve per run; see `kcore.compare_runs`.

        Args:
            metric: a name from the histories; the loss if None.
            path: file to write the picture to.

        Returns:
            The matplotlib figure.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        from kcore.visualization import compare_runs

        return compare_runs({run.label: run.history for run in self}, metric or "loss", path=path)

    def __repr__(self) -> str:
        return f"<Sweep of {len(self)} runs: {'; '.join(run.label for run in self)}>"


def sweep(
    build: Callable[..., Any],
    grid: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]],
    data: Any,
    *,
    seed: int = 0,
    keep_models: bool = True,
    verbose: int = 1,
    **fit_options: Any,
) -> Sweep:
    """Train a fresh model for every setting, so that the runs differ in nothing but the setting.

    A model is an object that remembers: training one model with a second learning rate goes on from the weights of the
    first. Here `build` makes a new model per run, and every run begins from the same seed, so that first weights, order
    of the samples and dropout are the same in all.

    Args:
        build: function of the setting's parameters by name, which returns a new compiled model.
        grid: parameter name -> values, of which all combinations are run; or the settings themselves, a list of dicts.
        data: ``(x, y)`` or ``(x, y, sample_weight)``, or anything `fit` takes as x and can go through more than once.
        seed: of every run.
        keep_models: whether the runs keep their models; without them a long sweep needs less memory.
        verbose: 1 for a line per run, 0 for none.
        **fit_options: passed on to `fit`: ``epochs=``, ``validation_data=``, ``batch_size=``, ... ``callbacks`` may be
            a function that returns a fresh list for each run.

    Returns:
        The runs, with ``best()``, ``plot()`` and ``to_dataframe()``.

    Raises:
        ValueError: an empty grid; data that can be gone through only once; a `build` that returns the same model again,
            one that is trained already, or one that is not compiled.
        TypeError: `build` does not take the grid's parameters.

    Example:
        >>> import kcore, numpy as np
        >>> x = np.linspace(-1, 1, 32, dtype="float32")[:, None]
        >>> def build(learning_rate):
        ...     model = kcore.Sequential([kcore.Input((1,)), kcore.layers.Dense(1)])
        ...     model.compile(kcore.optimizers.SGD(learning_rate), "mse")
        ...     return model
        >>> runs = kcore.sweep(build, {"learning_rate": [0.001, 0.1]}, (x, 3 * x), epochs=5, verbose=0)
        >>> runs.best("loss").params
        {'learning_rate': 0.1}
    """
    settings = _settings(grid)
    if isinstance(data, Iterator):
        raise ValueError(
            f"sweep: data is a {type(data).__name__}, which only the first run could read; give arrays, or an iterable "
            "that starts anew each time"
        )
    arguments = data if isinstance(data, tuple) else (data,)
    if len(arguments) > 3:
        raise ValueError(
            f"sweep: data must be x, (x, y) or (x, y, sample_weight), received a tuple of {len(arguments)}"
        )
    named = dict(zip(("x", "y", "sample_weight"), arguments, strict=False))
    callbacks = fit_options.pop("callbacks", None)
    runs: list[Run] = []
    made: list[Any] = []  # kept, so that no two models share an address
    for number, params in enumerate(settings, 1):
        set_random_seed(seed)
        start = time.perf_counter()
        model = build(**params)
        _check_fresh(model, made, params)
        made.append(model if keep_models else None)
        options = {"verbose": 0, **fit_options}
        fresh = callbacks() if callable(callbacks) else callbacks
        history = model.fit(**named, **options, callbacks=fresh)
        run = Run(dict(params), history, model if keep_models else None, time.perf_counter() - start)
        runs.append(run)
        if verbose:
            shown = " - ".join(f"{name}: {values[-1]:.4f}" for name, values in history.history.items() if values)
            print(f"{number}/{len(settings)} {run.label}: {shown} - {run.seconds:.1f}s", flush=True)
    return Sweep(runs)


def _settings(grid: Any) -> list[dict[str, Any]]:
    if isinstance(grid, Mapping):
        for name, values in grid.items():
            if isinstance(values, str) or not hasattr(values, "__iter__"):
                raise ValueError(f"sweep: the grid's {name!r} must be a list of values, received {values!r}")
        values = [list(values) for values in grid.values()]
        found = (
            [dict(zip(grid, combination, strict=True)) for combination in itertools.product(*values)] if grid else []
        )
    else:
        found = [dict(setting) for setting in grid]
    if not found:
        raise ValueError(f"sweep: the grid {grid!r} holds no setting")
    return found


def _check_fresh(model: Any, made: list[Any], params: Mapping[str, Any]) -> None:
    if not hasattr(model, "fit") or not hasattr(model, "compiled"):
        raise ValueError(f"sweep: build({_call(params)}) must return a model, it returned {model!r}")
    if any(model is other for other in made):
        raise ValueError(
            f"sweep: build({_call(params)}) returned the model of an earlier run again, whose training would go on; "
            "make the model inside build"
        )
    if model._trained.steps:
        raise ValueError(
            f"sweep: build({_call(params)}) returned a model that was trained before ({model._trained}); make the "
            "model inside build, or return kcore.models.clone_model(model)"
        )
    if not model.compiled:
        raise ValueError(
            f"sweep: build({_call(params)}) returned a model that is not compiled; call compile() in build"
        )


def _call(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in params.items())


def _values(run: Run, metric: str) -> list[float]:
    values = run.history.history.get(metric)
    if not values:
        known = list(run.history.history)
        raise ValueError(f"sweep: run {run.label} has no {metric!r}, it has {known}{did_you_mean(metric, known)}")
    return values


def _larger_is_better(metric: str, mode: str) -> bool:
    if mode not in ("auto", "min", "max"):
        raise ValueError(f"sweep: mode must be 'auto', 'min' or 'max', received {mode!r}")
    small = ("loss", "error", "mse", "mae", "mape", "msle", "crossentropy", "hinge", "divergence", "poisson")
    return mode == "max" or (mode == "auto" and not any(word in metric.lower() for word in small))
