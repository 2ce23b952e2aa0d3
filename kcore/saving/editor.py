"""A file of Keras 3's weights opened to be looked at, changed and saved again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kcore.naming import did_you_mean
from kcore.registry import public
from kcore.saving import archive, hdf5
from kcore.saving.datasets import opened, parts_of, read_array, write_array
from kcore.saving.state import stores
from kcore.saving.window import created_at
from kcore.utils.atomic import replacing


@public("keras.saving")
class KerasFileEditor:
    """What a file of weights holds, to be renamed, removed and added to, and saved as another file.

    For weights that no longer fit because the model has changed. Objects, mostly layers, are named by their place in
    the file, ``"layers/dense_2"``, or by its last part where that is unique; their weights by "0", "1", ...

    Args:
        filepath: a ``.weights.h5`` or ``.keras`` file of Keras 3 or kcore. It is read, and never changed.

    Attributes:
        weights: place -> weight -> array.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is none of these, or damaged.

    Example:
        >>> import kcore, tempfile
        >>> old = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2, name="a")])
        >>> new = kcore.Sequential([kcore.Input((3,)), kcore.layers.ReLU(), kcore.layers.Dense(2, name="b")])
        >>> folder = tempfile.mkdtemp()
        >>> old.save_weights(folder + "/old.weights.h5")
        >>> editor = KerasFileEditor(folder + "/old.weights.h5")
        >>> list(editor.weights)
        ['layers/dense']
        >>> editor.compare(new, verbose=0)["status"]
        'success'

    Source: `keras.saving.KerasFileEditor`.
    """

    def __init__(self, filepath: str | os.PathLike[str]):
        self.filepath = path = Path(filepath)
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        self._names: dict[str, str] = {}
        if archive.matches(path):
            with archive.opened_weights(path) as (file, check):
                self.weights = dict(self._read(file))
                check()
        elif hdf5.matches(path) and not hdf5.is_legacy(path):
            with opened(path, path) as file:
                self.weights = dict(self._read(file))
        else:
            raise ValueError(
                f"{path}: expected a .weights.h5 or .keras file of Keras 3; `kcore summary` reads any form"
            )

    def _read(self, file: Any) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        for place, datasets in parts_of(file, self.filepath).items():
            name = file[f"{place}/vars" if place else "vars"].attrs.get("name")
            if isinstance(name, str):
                self._names[place] = name
            if datasets:
                yield place, {key: read_array(dataset, self.filepath) for key, dataset in datasets.items()}

    def summary(self) -> None:
        """Print every object with its weights, their shapes and dtypes."""
        print(f"{self.filepath}: {len(self.weights)} objects, {sum(map(len, self.weights.values()))} weights")
        for place, weights in self.weights.items():
            print(f"{place or '(the model itself)'}")
            for key, array in weights.items():
                print(f"    {key}: {array.dtype.name}{list(array.shape)}")

    def compare(self, reference_model: Any, verbose: int = 1) -> dict[str, Any]:
        """Look for what would keep the file from being loaded into a model.

        Args:
            reference_model: a built model.
            verbose: 0 prints nothing, 1 a line for each difference.

        Returns:
            ``{"status": "success" or "error", "error_count": ..., "match_count": ...}``.
        """
        wanted = {
            place: {key: tuple(value.shape) for key, value in store.items()}
            for place, _, store in stores(reference_model)
            if store
        }
        held = {place: {key: array.shape for key, array in group.items()} for place, group in self.weights.items()}
        problems = [f"{place}: in the model, not in the file" for place in wanted if place not in held]
        problems += [f"{place}: in the file, not in the model" for place in held if place not in wanted]
        matches = 0
        for place in [place for place in wanted if place in held]:
            for key in sorted({*wanted[place], *held[place]}):
                here, there = wanted[place].get(key), held[place].get(key)
                if here == there:
                    matches += 1
                else:
                    problems.append(f"{place}, weight {key}: {_shape(here)} in the model, {_shape(there)} in the file")
        if verbose:
            for problem in problems:
                print(problem)
            print(f"{matches} weights fit, {len(problems)} differences")
        return {"status": "error" if problems else "success", "error_count": len(problems), "match_count": matches}

    def rename_object(self, object_name: str, new_name: str) -> None:
        """Give an object, and with it all inside it, another name.

        Args:
            object_name: its place, or the last part of it.
            new_name: the new last part.

        Raises:
            ValueError: no such object, or several; a name with "/", or one that is taken.
        """
        place = self._find(object_name)
        if "/" in new_name or not new_name:
            raise ValueError(f"new_name is the last part of a place, without '/', received {new_name!r}")
        target = "/".join([*place.split("/")[:-1], new_name])
        if target != place and target in self._places():
            raise ValueError(f"{self.filepath} has an object {target!r} already")
        for held in (self.weights, self._names):
            moved = {_moved(inner, place, target): value for inner, value in held.items()}
            held.clear()
            held.update(moved)  # type: ignore[arg-type]

    def delete_object(self, object_name: str) -> None:
        """Remove an object and all inside it.

        Args:
            object_name: its place, or the last part of it.

        Raises:
            ValueError: no such object, or several.
        """
        place = self._find(object_name)
        for inner in [inner for inner in self.weights if _within(inner, place)]:
            del self.weights[inner]

    def add_object(self, object_path: str, weights: Mapping[str, Any]) -> None:
        """Add an object.

        Args:
            object_path: its place, for instance "layers/dense_2".
            weights: "0", "1", ... -> arrays.

        Raises:
            ValueError: there is one already, or `weights` is no dict of arrays.
        """
        if object_path in self._places():
            raise ValueError(f"{self.filepath} has an object {object_path!r} already; add_weights() adds to it")
        self.weights[object_path] = _arrays(weights)

    def delete_weight(self, object_name: str, weight_name: str) -> None:
        """Remove a weight of an object.

        Raises:
            ValueError: no such object or weight.
        """
        weights = self._weights_of(object_name)
        if weight_name not in weights:
            raise ValueError(f"object {object_name!r} has no weight {weight_name!r}; it has {', '.join(weights)}")
        del weights[weight_name]

    def add_weights(self, object_name: str, weights: Mapping[str, Any]) -> None:
        """Add weights to an object, or replace them.

        Raises:
            ValueError: no such object, or `weights` is no dict of arrays.
        """
        self._weights_of(object_name).update(_arrays(weights))

    def save(self, filepath: str | os.PathLike[str]) -> None:
        """Write the weights as they are now; an older file stays until the new one is complete.

        Args:
            filepath: a name that ends in ``.weights.h5``.
        """
        path = Path(filepath)
        if not path.name.endswith(".weights.h5"):
            raise ValueError(f"filepath must end in .weights.h5, received {os.fspath(filepath)!r}")
        with replacing(path) as temporary, created_at(temporary) as file:
            for place, weights in self.weights.items():
                group = file.create_group(f"{place}/vars" if place else "vars")
                if place in self._names:
                    group.attrs["name"] = self._names[place]
                for key, array in weights.items():
                    write_array(group, key, array)

    resave_weights = save

    def _places(self) -> set[str]:
        """Every object: those that have weights, and those around them."""
        found = set()
        for place in self.weights:
            parts = place.split("/")
            found |= {"/".join(parts[:n]) for n in range(1, len(parts) + 1)}
        return found

    def _find(self, name: str) -> str:
        places = sorted(self._places())
        fits = [name] if name in places else [p for p in places if "/" not in name and p.split("/")[-1] == name]
        if not fits:
            hint = did_you_mean(name, [*places, *(place.split("/")[-1] for place in places)])
            raise ValueError(f"{self.filepath} has no object {name!r}{hint}")
        if len(fits) > 1:
            raise ValueError(f"several objects are called {name!r}, give one by its place: {', '.join(fits)}")
        return fits[0]

    def _weights_of(self, name: str) -> dict[str, np.ndarray]:
        place = self._find(name)
        if place not in self.weights:
            inside = ", ".join(inner for inner in self.weights if _within(inner, place))
            raise ValueError(f"object {name!r} has no weights of its own; inside it are {inside}")
        return self.weights[place]


def _within(inner: str, place: str) -> bool:
    return inner == place or inner.startswith(f"{place}/")


def _moved(inner: str, place: str, target: str) -> str:
    return target + inner[len(place) :] if _within(inner, place) else inner


def _shape(shape: tuple[int, ...] | None) -> str:
    return "not" if shape is None else f"shape {shape}"


def _arrays(weights: Any) -> dict[str, np.ndarray]:
    if not isinstance(weights, Mapping):
        raise ValueError(f"weights is a dict of names (mostly '0', '1', ...) and arrays, received {weights!r}")
    found = {str(key): np.asarray(value) for key, value in weights.items()}
    wrong = [key for key, array in found.items() if array.dtype.kind not in "fiubV"]
    if wrong:
        raise ValueError(f"weight {wrong[0]!r} is no array of numbers, received {weights[wrong[0]]!r}")
    return found
