"""``kcore summary``, ``convert`` and ``diff`` on files of every Keras: sense, or one line of what is wrong."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from kcore.cli import main

FILES = Path(__file__).parent / "files"
ZIPS = sorted(path.name for path in FILES.glob("*.zip"))
#: What only a Python program can load: it has classes of its own, or holds code, or a layer that kcore does not have.
UNLOADABLE = ("custom", "custom_registered", "function", "foreign", "quantized")


def unpacked(archive_name, folder):
    with zipfile.ZipFile(FILES / archive_name) as archive:
        archive.extractall(folder)
    return sorted(path for path in folder.iterdir() if path.suffix != ".npz")


@pytest.mark.parametrize("archive_name", ZIPS)
def test_summary_of_every_file(archive_name, tmp_path, capsys):
    version = archive_name.split("-")[1]
    for path in unpacked(archive_name, tmp_path):
        assert main(["summary", str(path)]) == 0, path.name
        said = capsys.readouterr()
        assert said.out.startswith(f"{path}: ") and not said.err, path.name
        if not path.name.endswith(".weights.h5"):
            assert f"written by: Keras {version}" in said.out and "model: " in said.out, path.name
        assert "parameters: " in said.out or path.name.startswith("math"), path.name  # which has none


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("archive_name", ZIPS)
def test_convert_and_diff(archive_name, tmp_path, capsys):
    """Every fifth file, and those that cannot be loaded."""
    chosen = [path for path in unpacked(archive_name, tmp_path) if not path.name.endswith(".weights.h5")]
    hard = [path for path in chosen if path.stem in UNLOADABLE]
    for path in (*chosen[::5], *hard):
        new = tmp_path / f"converted-{path.stem}.keras"
        code = main(["convert", str(path), str(new)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err, path.name
        if path in hard:
            assert code != 0 and path.name in said.err and not new.exists(), path.name
            continue
        assert code == 0 and new.exists(), said.err
        code, said = main(["diff", str(path), str(new)]), capsys.readouterr()
        assert code == 0, said.out + said.err
