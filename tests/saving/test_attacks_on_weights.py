"""Files of weights alone that lie: headers of .safetensors, and shards that would read other files."""

from __future__ import annotations

import json
import struct

import h5py
import numpy as np
import pytest

import kcore

safetensors = pytest.importorskip("safetensors")


def model():
    return kcore.Sequential([kcore.Input((2,)), kcore.layers.Dense(3, name="dense")], name="net")


def entry(start, stop, shape=(2, 3), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}


GOOD = {"net/dense/kernel": entry(0, 24), "net/dense/bias": entry(24, 36, (3,))}


def written(path, header, size=None, data=bytes(36)):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if size is None else size) + text + data)
    return path


LIES = {
    "arrays that lie on each other": {**GOOD, "net/dense/bias": entry(0, 12, (3,))},
    "an array behind the end": {**GOOD, "net/dense/bias": entry(24, 1 << 40, (1 << 38,))},
    "a shape larger than its bytes": {**GOOD, "net/dense/kernel": entry(0, 24, (1 << 20, 1 << 20))},
    "offsets backwards": {**GOOD, "net/dense/kernel": entry(24, 0)},
    "a gap": {**GOOD, "net/dense/bias": entry(28, 36, (2,))},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_header_that_lies_is_refused(lie, tmp_path):
    mine = model()
    mine.load_weights(written(tmp_path / "good.safetensors", GOOD))  # control: the truth is read
    path = written(tmp_path / "a.safetensors", LIES[lie])
    before = mine.get_weights()
    with pytest.raises(ValueError, match="a.safetensors is not a complete .safetensors file"):
        mine.load_weights(path)
    assert all((a == b).all() for a, b in zip(before, mine.get_weights(), strict=True))


def test_a_header_of_endless_length_is_refused(tmp_path):
    path = written(tmp_path / "a.safetensors", GOOD, size=1 << 62)
    with path.open("rb") as file, pytest.raises((MemoryError, OverflowError)):
        file.read(struct.unpack("<Q", file.read(8))[0])  # control
    with pytest.raises(ValueError, match="a.safetensors is not a complete .safetensors file"):
        model().load_weights(path)


def test_a_shard_that_would_read_another_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["secret"] = np.full((2, 3), 42, "float32")
    mine = model()
    mine.save_weights(tmp_path / "a.weights.json", max_shard_size=1)
    with h5py.File(tmp_path / "a_00000.weights.h5", "r+") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/secret")
        assert (file["layers/dense/vars/0"][()] == 42).all()  # control: h5py follows it
    before = mine.get_weights()
    with pytest.raises(ValueError, match=r"a_00000.weights.h5: .* is a link, which is not followed"):
        mine.load_weights(tmp_path / "a.weights.json")
    assert all((a == b).all() for a, b in zip(before, mine.get_weights(), strict=True))
