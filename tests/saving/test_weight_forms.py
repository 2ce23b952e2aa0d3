"""Every form of a file of weights: what Keras and other tools make of it, both ways, whole or not at all."""

from __future__ import annotations

import json
import os

import h5py
import keras
import numpy as np
import pytest

import kcore
from kcore import layers
from kcore.saving import SkippedWeights, load_weights, save_weights

safetensors = pytest.importorskip("safetensors.numpy")


def build(lib=kcore, units=2, names=("hidden", "logits")):
    return lib.Sequential(
        [lib.Input((3,)), lib.layers.Dense(4, name=names[0]), lib.layers.Dense(units, name=names[1])], name="net"
    )


def randomized(model, seed=1):
    rng = np.random.default_rng(seed)
    model.set_weights([rng.random(w.shape).astype("float32") for w in model.weights])
    return model


def same(a, b):
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


FORMS = ["a.weights.h5", "a.h5", "a.hdf5", "a.weights.json", "a.safetensors", "a.keras"]


def write(model, path):
    model.save(path) if path.suffix == ".keras" else model.save_weights(path)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_saved_is_loaded(tmp_path, form):
    source, model = randomized(build()), build()
    write(source, tmp_path / form)
    model.load_weights(tmp_path / form)
    same(model.get_weights(), source.get_weights())


@pytest.mark.parametrize("form", FORMS)
def test_what_does_not_fit_is_told_and_nothing_loaded(tmp_path, form):
    write(randomized(build(units=5)), tmp_path / form)
    model = build()
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"(?s)does not fit model 'net'.*logits.*\(4, 5\).*Nothing was loaded"):
        model.load_weights(tmp_path / form)
    same(model.get_weights(), before)
    with pytest.warns(SkippedWeights, match=r"logits.*has shape \(4, 2\), the file has \(4, 5\)"):
        model.load_weights(tmp_path / form, skip_mismatch=True)
    same(model.get_weights()[2:], before[2:])
    assert (model.get_weights()[0] != before[0]).all()


@pytest.mark.parametrize("form", FORMS[:4])
def test_keras_loads_ours(tmp_path, form):
    source, theirs = randomized(build()), build(keras)
    source.save_weights(tmp_path / form)
    theirs.load_weights(tmp_path / form)
    same(theirs.get_weights(), source.get_weights())


@pytest.mark.parametrize("form", ["a.weights.h5", "a.weights.json", "a.keras", "a.h5"])
def test_we_load_keras_s(tmp_path, form):
    theirs, model = randomized(build(keras)), build()
    if form == "a.weights.json":
        theirs.save_weights(tmp_path / form, max_shard_size=60 / 1024**3)
    else:
        theirs.save_weights(tmp_path / form) if "weights" in form else theirs.save(tmp_path / form)
    model.load_weights(tmp_path / form)
    same(model.get_weights(), theirs.get_weights())


def trained(model):
    model.compile("adam", "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    return model


def test_shards_are_keras_s(tmp_path):
    size = 100 / 1024**3
    source = trained(build())
    source.save_weights(tmp_path / "ours.weights.json", max_shard_size=size)
    theirs = build(keras)
    theirs.compile("adam", "mse")
    theirs.optimizer.build(theirs.trainable_variables)
    theirs.load_weights(tmp_path / "ours.weights.json")
    same(theirs.get_weights(), source.get_weights())
    same([np.asarray(v) for v in theirs.optimizer.variables], [v.numpy() for v in source.optimizer.variables])
    theirs.save_weights(tmp_path / "theirs.weights.json", max_shard_size=size)
    sizes, maps = [], []
    for who in ("ours", "theirs"):
        content = json.loads((tmp_path / f"{who}.weights.json").read_text())
        sizes.append(content["metadata"]["total_size"])
        files = {place: names if isinstance(names, list) else [names] for place, names in content["weight_map"].items()}
        maps.append({place: [name.removeprefix(who) for name in names] for place, names in files.items()})
    assert sizes[0] == sizes[1] == 320
    assert maps[0] == maps[1]


def test_a_second_save_of_shards_takes_new_names_and_removes_the_old_ones(tmp_path):
    size = 100 / 1024**3
    file = tmp_path / "a.weights.json"
    for seed, first in ((1, "a_00000.weights.h5"), (2, "a-2_00000.weights.h5"), (3, "a_00000.weights.h5")):
        source = randomized(build(), seed)
        source.save_weights(file, max_shard_size=size)
        assert first in os.listdir(tmp_path)
        assert len(os.listdir(tmp_path)) == 3
    model = build()
    model.load_weights(file)
    same(model.get_weights(), source.get_weights())


def test_an_interrupted_save_of_shards_leaves_the_old_ones(tmp_path, monkeypatch):
    size = 100 / 1024**3
    file = tmp_path / "a.weights.json"
    source = randomized(build(), 1)
    source.save_weights(file, max_shard_size=size)
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    monkeypatch.setattr(json, "dumps", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        randomized(build(), 2).save_weights(file, max_shard_size=size)
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


def listed(tmp_path, **weight_map):
    (tmp_path / "a.weights.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return tmp_path / "a.weights.json"


@pytest.mark.parametrize("name", ["../b.weights.h5", "/etc/passwd", "b\\c", "..", "", 3])
def test_shards_lie_beside_their_list(tmp_path, name):
    with pytest.raises(ValueError, match="names the shard .* which is not a file beside it"):
        build().load_weights(listed(tmp_path, x=name))


def test_broken_lists_and_missing_shards_are_told(tmp_path):
    with pytest.raises(ValueError, match="is not complete: there is no shard .*b.weights.h5"):
        build().load_weights(listed(tmp_path, x="b.weights.h5"))
    for content, message in (("{", "no readable list of shards"), ("{}", "it has no weight_map")):
        (tmp_path / "a.weights.json").write_text(content)
        with pytest.raises(ValueError, match=message):
            build().load_weights(tmp_path / "a.weights.json")
    build().save_weights(tmp_path / "b.weights.h5")
    (tmp_path / "c.weights.h5").write_bytes((tmp_path / "b.weights.h5").read_bytes())
    with pytest.raises(ValueError, match="two of its shards hold layers/dense/vars/0"):
        build().load_weights(listed(tmp_path, x=["b.weights.h5", "c.weights.h5"]))


def test_a_weight_larger_than_a_shard_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"'hidden' \(Dense\) has a weight of 48 bytes, shape \(3, 4\), which is more"):
        build().save_weights(tmp_path / "a.weights.json", max_shard_size=20 / 1024**3)
    with pytest.raises(ValueError, match="max_shard_size must be a positive number"):
        build().save_weights(tmp_path / "a.weights.json", max_shard_size=-1)
    with pytest.raises(ValueError, match="weights in shards must be called <name>.weights.json"):
        build().save_weights(tmp_path / "a.safetensors", max_shard_size=1)


def test_by_name(tmp_path):
    source = randomized(build(names=("other", "logits")))
    source.save_weights(tmp_path / "a.h5")
    model = build()
    before = model.get_weights()
    model.load_weights(tmp_path / "a.h5", by_name=True)
    same(model.get_weights(), [*before[:2], *source.get_weights()[2:]])
    source.save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match="by_name=True is for the .h5 files of Keras 1 and 2; this is one of keras 3"):
        model.load_weights(tmp_path / "a.weights.h5", by_name=True)


@pytest.mark.parametrize("form", ["a.weights.h5", "a.weights.json", "a.keras"])
def test_layers_can_be_left_alone(tmp_path, form):
    source, model = randomized(build(units=5)), build()
    write(source, tmp_path / form)
    before = model.get_weights()
    load_weights(model, tmp_path / form, objects_to_skip=[model.layers[1]])
    same(model.get_weights(), [*source.get_weights()[:2], *before[2:]])
    source.save_weights(tmp_path / "a.h5")
    with pytest.raises(ValueError, match="objects_to_skip is for the files of Keras 3"):
        load_weights(model, tmp_path / "a.h5", objects_to_skip=[model.layers[1]])


def test_safetensors_hold_variables_by_path(tmp_path):
    source = randomized(build())
    save_weights(source, tmp_path / "a.safetensors")
    arrays = safetensors.load_file(tmp_path / "a.safetensors")
    assert sorted(arrays) == sorted(w.path for w in build(keras).weights)
    same([arrays[w.path] for w in source.weights], source.get_weights())
    safetensors.save_file({name: array + 1 for name, array in arrays.items()}, tmp_path / "b.safetensors")
    model = build()
    model.load_weights(tmp_path / "b.safetensors")
    same(model.get_weights(), [w + 1 for w in source.get_weights()])


def test_safetensors_with_names_that_were_made_up_go_by_order(tmp_path):
    def made():
        return kcore.Sequential([kcore.Input((3,)), layers.Dense(3), layers.Dense(3)])

    source, model = randomized(made()), made()
    assert {w.path for w in source.weights}.isdisjoint({w.path for w in model.weights})
    source.save_weights(tmp_path / "a.safetensors")
    model.load_weights(tmp_path / "a.safetensors")
    same(model.get_weights(), source.get_weights())
    arrays = safetensors.load_file(tmp_path / "a.safetensors")
    safetensors.save_file(arrays, tmp_path / "b.safetensors")  # by another tool, which knows no order
    with pytest.raises(ValueError, match="is not in the file"):
        model.load_weights(tmp_path / "b.safetensors")


def test_safetensors_keep_bfloat16(tmp_path):
    def made(policy="bfloat16"):
        return kcore.Sequential([kcore.Input((3,)), layers.Dense(2, dtype=policy, name="d")])

    source, model = made(), made()
    source.save_weights(tmp_path / "a.safetensors")
    model.load_weights(tmp_path / "a.safetensors")
    assert model.get_weights()[0].dtype.name == "bfloat16"
    same(model.get_weights(), source.get_weights())


def test_safetensors_that_are_none(tmp_path):
    model = build()
    for content in (b"", b"\xff" * 20, b"\x02" + b"\0" * 7 + b"{}garbage"):
        (tmp_path / "a.safetensors").write_bytes(content)
        with pytest.raises(ValueError, match="is not a complete .safetensors file"):
            model.load_weights(tmp_path / "a.safetensors")
    (tmp_path / "a.bin").write_bytes(b"something else")
    with pytest.raises(ValueError, match="a.bin holds no weights: its content is none of .weights.h5, .weights.json"):
        model.load_weights(tmp_path / "a.bin")
    with pytest.raises(ValueError, match="a .safetensors file holds weights only"):
        save_weights(model, tmp_path / "a.safetensors", include_states=True)


def test_safetensors_need_one_name_per_weight(tmp_path):
    class Twins(kcore.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = layers.Dense(1, name="d"), layers.Dense(1, name="d")

        def call(self, x):
            return self.a(x) + self.b(x)

    model = Twins()
    model(np.ones((1, 2), "float32"))
    with pytest.raises(ValueError, match=r"two weights of model .* are called '.*d/kernel'"):
        model.save_weights(tmp_path / "a.safetensors")


def test_safetensors_are_an_extra(tmp_path, monkeypatch):
    import sys

    model = build()
    monkeypatch.setitem(sys.modules, "safetensors", None)
    model.save_weights(tmp_path / "a.safetensors")  # writing takes no package
    with pytest.raises(ImportError, match=r"reading a.safetensors needs .*pip install \"kcore\[safetensors\]\""):
        model.load_weights(tmp_path / "a.safetensors")


@pytest.mark.parametrize("form", ["a.keras", "a.h5", "a.weights.h5", "a.weights.json", "w.h5"])
@pytest.mark.parametrize("asked", [True, False])
def test_states_of_recurrent_layers_if_asked(tmp_path, form, asked):
    def made():
        return kcore.Sequential([kcore.Input(batch_shape=(2, 3, 4)), layers.LSTM(2, stateful=True, name="rnn")])

    model = made()
    model.predict(np.ones((2, 3, 4)), verbose=0)
    if form in ("a.keras", "a.h5"):
        kcore.saving.save_model(model, tmp_path / form, include_states=asked)
        other = kcore.saving.load_model(tmp_path / form)
        assert keras.saving.load_model(tmp_path / form).count_params() == model.count_params()
    else:
        save_weights(model, tmp_path / form, include_states=asked)
        other = made()
        other.load_weights(tmp_path / form)
    for mine, theirs in zip(model.layers[0].states, other.layers[0].states, strict=True):
        np.testing.assert_array_equal(theirs.numpy(), mine.numpy() if asked else np.zeros((2, 2)))


def test_a_file_in_pieces_is_read_through_before_anything_changes(tmp_path):
    source = randomized(build())
    source.save_weights(tmp_path / "a.weights.h5")
    with h5py.File(tmp_path / "a.weights.h5", "a") as file:
        place = "layers/dense_1/vars"
        value = np.tile(file[f"{place}/0"][()], 1)
        del file[f"{place}/0"]
        dataset = file[place].create_dataset("0", data=value, chunks=(4, 1), compression="gzip")
        offset = dataset.id.get_chunk_info(1).byte_offset
    content = bytearray((tmp_path / "a.weights.h5").read_bytes())
    content[offset : offset + 4] = b"\0\0\0\0"
    (tmp_path / "b.weights.h5").write_bytes(content)
    model = build()
    model.load_weights(tmp_path / "a.weights.h5")
    same(model.get_weights(), source.get_weights())
    fresh = build()
    before = fresh.get_weights()
    with pytest.raises(ValueError, match="dataset /layers/dense_1/vars/0 is damaged"):
        fresh.load_weights(tmp_path / "b.weights.h5")
    same(fresh.get_weights(), before)
