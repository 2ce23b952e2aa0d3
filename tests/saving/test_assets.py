"""Files that layers keep in an archive: written and read in their folders, and nowhere else."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

import kcore
from kcore import layers


@kcore.utils.register_keras_serializable("tests")
class Notes(layers.Layer):
    """A layer with files of its own."""

    text = "new"

    def call(self, x):
        return x

    def save_assets(self, folder):
        (Path(folder) / "more").mkdir()
        (Path(folder) / "more" / "notes.txt").write_text(self.text)

    def load_assets(self, folder):
        self.text = (Path(folder) / "more" / "notes.txt").read_text()
        if self.text == "bad":
            raise ValueError("not these notes")


def saved(path, text="old"):
    model = kcore.Sequential([kcore.Input((2,)), Notes(), layers.Dense(1), Notes()])
    model.layers[0].text, model.layers[2].text = text, "third"
    model.save(path)
    return model


def rewritten(path, change):
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    members.update(change)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in members.items():
            new.writestr(name, content)


def test_every_layer_finds_its_own(tmp_path):
    model = saved(tmp_path / "m.keras")
    again = kcore.models.load_model(tmp_path / "m.keras")
    assert [again.layers[i].text for i in (0, 2)] == ["old", "third"]
    x = np.ones((1, 2), "float32")
    np.testing.assert_array_equal(again(x).numpy(), model(x).numpy())
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert [n for n in archive.namelist() if n.startswith("assets")] == [
            "assets/layers/notes/more/notes.txt",
            "assets/layers/notes_1/more/notes.txt",
        ]


def test_a_layer_that_refuses_its_files_is_named(tmp_path):
    saved(tmp_path / "m.keras", "bad")
    with pytest.raises(ValueError, match="m.keras: assets/layers/notes cannot be loaded: not these notes"):
        kcore.models.load_model(tmp_path / "m.keras")


def test_a_file_that_swells_is_refused(tmp_path, monkeypatch):
    saved(tmp_path / "m.keras")
    rewritten(tmp_path / "m.keras", {"assets/layers/notes/more/notes.txt": b"0" * 300_000})
    monkeypatch.setattr("kcore.saving.assets.EXPANSION", 100)
    with pytest.raises(ValueError, match="notes.txt declares 300000 bytes, but only"):
        kcore.models.load_model(tmp_path / "m.keras")


def test_a_damaged_file_is_named(tmp_path):
    saved(tmp_path / "m.keras", "plain text " * 9)
    path = tmp_path / "m.keras"
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("assets/layers/notes/more/notes.txt")
    content[info.header_offset + 30 + len(info.filename) + 3] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="notes.txt is damaged"):
        kcore.models.load_model(path)
