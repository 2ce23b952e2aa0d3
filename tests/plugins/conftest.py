"""Plugins that are really installed here are hidden from these tests, which count what they find."""

from __future__ import annotations

import importlib.metadata

import pytest

from kcore import plugins
from kcore.plugins.discovery import PLUGINS


@pytest.fixture(autouse=True)
def no_installed_plugins(monkeypatch):
    installed = importlib.metadata.entry_points
    hidden = {entry.value for entry in installed(group=PLUGINS)}

    def entry_points(**wanted):
        found = installed(**wanted)
        return [e for e in found if e.value not in hidden] if wanted.get("group") == PLUGINS else found

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    plugins.reset()
    yield
    monkeypatch.undo()
    plugins.reset()
