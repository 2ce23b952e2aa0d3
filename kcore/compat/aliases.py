"""Modules under other names: what an import of ``keras`` finds after `install`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

#: The packages an import of which can mean kcore.
NAMES = ("keras", "tf_keras", "tensorflow", "plaidml")

#: What scripts that look at the version are told: the one whose API this is.
KERAS_VERSION = "3.15.1+kcore"


@dataclass(frozen=True)
class Place:
    """What stands under one name.

    Attributes:
        targets: the modules whose names it has, the first that has a name giving it.
        more: further names, as "module:name" or "module".
        about: what an error about a missing name adds.
    """

    targets: tuple[str, ...] = ()
    more: Mapping[str, str] = field(default_factory=dict)
    about: str = ""


_ENGINE = Place(("kcore.layers", "kcore.models", "kcore"))
_K = Place(("kcore.compat.backend", "kcore.backend"), about="functions of tensors are in keras.ops")
_LAYERS = Place(("kcore.layers",), {"CuDNNLSTM": "kcore.layers:LSTM", "CuDNNGRU": "kcore.layers:GRU"})
_UTILS = Place(("kcore.utils",))

#: Names that differ from kcore's own, below the package: those of Keras 1 and 2, some gone for years.
_KERAS: dict[str, Place] = {
    "": Place(("kcore",), {"__version__": "kcore.compat.aliases:KERAS_VERSION"}),
    "backend": _K,
    "backend.tensorflow_backend": _K,
    "engine": _ENGINE,
    "initializations": Place(("kcore.initializers",)),
    "layers": _LAYERS,
    "layers.experimental": _LAYERS,
    "layers.experimental.preprocessing": _LAYERS,
    "objectives": Place(("kcore.losses",)),
    "optimizers.experimental": Place(("kcore.optimizers",)),
    "optimizers.legacy": Place(("kcore.optimizers",)),
    "callbacks.callbacks": Place(("kcore.callbacks",)),
    "preprocessing.image": Place(("kcore.compat.image", "kcore.utils")),
    "preprocessing.text": Place(("kcore.compat.text",)),
    "wrappers.scikit_learn": Place(("kcore.compat.scikit_learn",)),
    "metrics.metrics": Place(("kcore.metrics",)),
    **{
        f"engine.{name}": _ENGINE
        for name in ("base_layer", "input_layer", "network", "sequential", "topology", "training")
    },
    **{
        f"layers.{name}": _LAYERS
        for name in (
            "advanced_activations",
            "convolutional",
            "convolutional_recurrent",
            "core",
            "cudnn_recurrent",
            "embeddings",
            "merge",
            "noise",
            "normalization",
            "pooling",
            "recurrent",
            "wrappers",
        )
    },
    **{
        f"utils.{name}": _UTILS
        for name in ("data_utils", "generic_utils", "io_utils", "layer_utils", "np_utils", "vis_utils")
    },
}
_TENSORFLOW_ONLY = "of TensorFlow itself kcore has keras, GradientTape, function and random.set_seed"
_TENSORFLOW: dict[str, Place] = {
    "": Place(
        (),
        {
            "__version__": "kcore.compat.aliases:KERAS_VERSION",
            "GradientTape": "kcore:GradientTape",
            "function": "kcore:function",
            "keras": "tensorflow.keras",
            "random": "tensorflow.random",
        },
        _TENSORFLOW_ONLY,
    ),
    "random": Place((), {"set_seed": "kcore.utils:set_random_seed"}, _TENSORFLOW_ONLY),
    "python": Place((), {"keras": "tensorflow.python.keras"}, _TENSORFLOW_ONLY),
}
_PLAIDML: dict[str, Place] = {
    "": Place((), {"keras": "plaidml.keras"}),
    "keras": Place((), {"install_backend": "kcore.compat.backend:use_opencl", "backend": "plaidml.keras.backend"}),
    "keras.backend": _K,
}


def _place(name: str) -> Place | None:
    """What stands under a dotted name; None if nothing does."""
    package, _, rest = name.partition(".")
    if package == "plaidml":
        return _PLAIDML.get(rest)
    if package == "tensorflow":
        if rest in _TENSORFLOW:
            return _TENSORFLOW[rest]
        rest = rest.removeprefix("python.")
        package, _, rest = rest.partition(".")
        if package != "keras":
            return None
    if rest in _KERAS:
        return _KERAS[rest]
    if rest.partition(".")[0] not in importlib.import_module("kcore").__all__:
        return None
    try:
        importlib.import_module(f"kcore.{rest}")
    except ModuleNotFoundError as error:
        if not f"kcore.{rest}".startswith(str(error.name)):
            raise  # it is there, and needs something that is not
        return None
    return Place((f"kcore.{rest}",))


class Alias(ModuleType):
    """A module under another name: it has the names of those it stands for; modules among them are aliases, too."""

    def __init__(self, name: str, place: Place):
        super().__init__(name, f"kcore in place of {name}.")
        self._place = place
        self.__path__: list[str] = []  # it has submodules, which are not files

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return [n for n in dir(self) if not n.startswith("_")]
        place, inner, reason = self.__dict__["_place"], f"{self.__name__}.{name}", ""
        if name in place.more:
            module, _, there = place.more[name].partition(":")
            found = importlib.import_module(module)
            return getattr(found, there) if there else found
        for target in place.targets:
            try:
                value = getattr(importlib.import_module(target), name)
            except AttributeError as error:
                reason = reason or str(error)
                continue
            return importlib.import_module(inner) if isinstance(value, ModuleType) and _place(inner) else value
        if not name.startswith("_") and _place(inner):
            return importlib.import_module(inner)
        text = f"{self.__name__} is kcore here, which has no {name!r} there"
        raise AttributeError("; ".join(filter(None, (text, place.about, reason))), name=name, obj=self)

    def __dir__(self) -> list[str]:
        names = set(self._place.more)
        for target in self._place.targets:
            module = importlib.import_module(target)
            names.update(getattr(module, "__all__", None) or dir(module))
        return sorted(names)


class _Finder(MetaPathFinder, Loader):
    """Answers imports of the packages that mean kcore."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name.partition(".")[0] not in self.names:
            return None
        place = _place(name)
        if place is None:
            parent = name.rpartition(".")[0]
            about = _TENSORFLOW_ONLY if name.startswith("tensorflow.") else f"see dir({parent})"
            raise ModuleNotFoundError(f"{parent} is kcore here, which has no module {name!r}; {about}", name=name)
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        place = _place(spec.name)
        assert place is not None
        return Alias(spec.name, place)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is to be run: names are looked up when they are asked for."""


_finder = _Finder()


def install(names: str | Iterable[str] = NAMES) -> None:
    """Let imports of these packages mean kcore, from now on and in this process.

    Packages that are installed under these names are not touched, and not found meanwhile.

    Args:
        names: of `NAMES`: "keras", "tf_keras", "tensorflow" (its keras) and "plaidml" (whose ``install_backend()``
            chooses OpenCL).

    Raises:
        ValueError: a name that is none of them.
        ImportError: something else was imported under one of the names before.

    Example:
        >>> install("keras")
        >>> from keras.layers import Dense
        >>> import kcore
        >>> Dense is kcore.layers.Dense
        True
        >>> uninstall()

    Source: PlaidML's `plaidml.keras.install_backend`, for the idea.
    """
    wanted = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        raise ValueError(f"install() knows {', '.join(NAMES)}, received {', '.join(map(repr, unknown))}")
    taken = [name for name in wanted if not isinstance(sys.modules.get(name, Alias), (Alias, type))]
    if taken:
        raise ImportError(
            f"{', '.join(taken)} was imported already: call kcore.compat.install() before, or use `kcore run SCRIPT`"
        )
    _finder.names.update(wanted)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def uninstall() -> None:
    """Undo `install`: imports find again what is installed. Who imported a module meanwhile keeps it."""
    _finder.names.clear()
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    for name in [name for name, module in sys.modules.items() if isinstance(module, Alias)]:
        del sys.modules[name]
