"""A heap of texts in an HDF5 file that leads nowhere is refused; HDF5 itself walks it for ever."""

from __future__ import annotations

import struct
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

import kcore
from kcore.saving import load_model
from kcore.saving.heaps import check_heaps

READING = "import h5py, sys; print(dict(h5py.File(sys.argv[1]).attrs))"


def model():
    return kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2)])


def broken(content, number=0, size=0):
    """The same file, its first text of another number and size."""
    data = bytearray(content)
    place = data.index(b"GCOL") + 16
    struct.pack_into("<HH4xQ", data, place, number, 1, size)
    return bytes(data)


@pytest.mark.parametrize(("number", "size"), [(0, 0), (1, 2**64 - 16), (1, 1 << 20)])
def test_a_heap_that_leads_nowhere_is_refused(number, size, tmp_path):
    path = tmp_path / "a.h5"
    model().save(path)
    load_model(path)
    path.write_bytes(broken(path.read_bytes(), number, size))
    with pytest.raises(ValueError, match=r"a.h5 is damaged: its heap of texts at byte \d+ is not in order"):
        load_model(path)
    with pytest.raises(ValueError, match="a.h5 is damaged"):
        model().load_weights(path)


@pytest.mark.parametrize("length", [0, 15, 2**64 - 1])
def test_a_heap_of_no_size_is_told_by_hdf5(length, tmp_path):
    path = tmp_path / "a.h5"
    model().save(path)
    data = bytearray(path.read_bytes())
    struct.pack_into("<Q", data, data.index(b"GCOL") + 8, length)
    path.write_bytes(data)
    with pytest.raises(ValueError, match="a.h5"):
        load_model(path)


def test_a_heap_within_an_archive_is_looked_at(tmp_path):
    path = tmp_path / "a.keras"
    model().save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["model.weights.h5"] = broken(members["model.weights.h5"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match="a.keras is damaged: its heap of texts"):
        load_model(path)


def test_control_hdf5_walks_it_without_end(tmp_path):
    path = tmp_path / "a.h5"
    model().save(path)
    command = [sys.executable, "-c", READING, str(path)]
    assert "keras_version" in subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    path.write_bytes(broken(path.read_bytes()))
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(command, capture_output=True, timeout=3)


def test_arrays_are_not_looked_through(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs["text"] = "short"
        file["array"] = np.frombuffer(b"GCOL\1\0\0\0" + struct.pack("<Q", 64) + bytes(48), "uint8")
    with h5py.File(path) as file, path.open("rb") as content:
        check_heaps(content, file, path)
    path.write_bytes(broken(path.read_bytes()))
    with h5py.File(path) as file, path.open("rb") as content:  # control: beside the array it is seen
        with pytest.raises(ValueError, match="is not in order"):
            check_heaps(content, file, path)
