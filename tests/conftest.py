"""What the tests of the core share: distributions that exist only in a test, and a choice of backend not yet made."""

from __future__ import annotations

import importlib.metadata
import sys
import textwrap

import pytest

from kcore import config, plugins
from kcore.backend import selection
from kcore.plugins.discovery import BACKENDS


@pytest.fixture(autouse=True, scope="module")
def forget_programs_of_jax():
    """Keras's NumPy engine convolves with JAX, which keeps a program for each shape: those of a file help no other."""
    yield
    jax = sys.modules.get("jax")
    if jax is not None:
        jax.clear_caches()


@pytest.fixture
def only_numpy(monkeypatch):
    """Of the installed backends only kcore-numpy is found: tests of the choice bring further ones of their own."""
    found = importlib.metadata.entry_points

    def entry_points(**selected):
        every = found(**selected)
        if selected.get("group") != BACKENDS:
            return every
        real = {"kcore-opencl", "kcore-cuda"}
        return importlib.metadata.EntryPoints(e for e in every if e.dist is None or e.dist.name not in real)

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    plugins.reset()
    selection.reset()
    yield
    monkeypatch.undo()
    plugins.reset()
    selection.reset()


@pytest.fixture
def install(tmp_path, monkeypatch, only_numpy):
    """``install(dist, group, entries, files)``: put a distribution into a temporary folder where Python finds it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    modules: set[str] = set()

    def install(dist, group="kcore.plugins", entries=None, files=None, version="1.0"):
        info = tmp_path / f"{dist.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n")
        lines = [f"{name} = {value}" for name, value in (entries or {}).items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
        for path, source in (files or {}).items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(source))
            modules.add(file.relative_to(tmp_path).parts[0].removesuffix(".py"))
        plugins.reset()
        selection.reset()

    yield install
    for name in list(sys.modules):
        if name.split(".")[0] in modules:
            del sys.modules[name]
    monkeypatch.undo()
    plugins.reset()
    selection.reset()


PLUGIN = """
    from kcore.plugins import hookimpl
    kcore_contract = 1

    class MyLayer:
        pass

    @hookimpl
    def kcore_layers():
        return [MyLayer]
"""


@pytest.fixture
def plugin_source():
    """A plugin that brings one layer."""
    return PLUGIN


@pytest.fixture
def fresh(monkeypatch, tmp_path_factory, only_numpy):
    """No backend chosen yet, no KERAS_BACKEND, an empty KERAS_HOME (the value of the fixture)."""
    home = tmp_path_factory.mktemp("keras-home")
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(home))
    config.reload()
    selection.reset()
    yield home
    monkeypatch.undo()
    config.reload()
    selection.reset()
