"""The tuner takes the fastest way, keeps it for its device and version, and nothing changes in mid-run."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

import kcore
import kcore_opencl
from kcore.cli import main
from kcore.codegen import Code
from kcore.errors import KcoreError
from kcore.kernels import choosing, products
from kcore_opencl import cache, disk_cache
from kcore_opencl.traits import traits_of
from kcore_opencl.tuning import choices, chosen, key_of, measuring, tuner, use
from kcore_opencl.tuning.shapes import nodes_of
from kcore_opencl.tuning.store import Store

SHAPE = "matmul 24x40x48"


@pytest.fixture(autouse=True)
def untuned(request, tmp_path, monkeypatch):
    """A process that has chosen nothing, and an empty cache folder."""
    if "device" in request.fixturenames:
        request.getfixturevalue("device")  # its self-test finds the usual folder
    monkeypatch.setenv("KCORE_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("KCORE_NO_CACHE", raising=False)
    for name in ("_taken", "_used"):
        monkeypatch.setattr(choosing, name, {})
    monkeypatch.setattr(choosing, "_recorded", None)
    monkeypatch.setattr(choosing, "_stores", {})
    monkeypatch.setattr(measuring, "TURN", 1e-4)
    monkeypatch.setattr(measuring, "MOST", 3)


@pytest.fixture
def place(device):
    """The device's state, known to the tuner, and in use."""
    choosing.register(device.place.traits, Store(device.place.device))
    before = kcore.backend.current()
    kcore.use_backend(str(device.device))
    yield device.place
    kcore.use_backend(f"{before.backend.name}:{before.device.index}")


def store(place) -> Store:
    return choosing._stores[place.traits]


def forget(place) -> None:
    """As if a new process had begun."""
    choosing._taken.clear()
    choosing._used.clear()
    choosing._stores[place.traits] = Store(place.device)


def node(text: str = SHAPE):
    return nodes_of(text)[0]


def pick(place, text: str = SHAPE):
    return chosen(node(text), place.traits, products.candidates, products.emit)


def test_without_tuning_the_default_is_taken(place):
    assert pick(place) == products.candidates(node(), place.traits)[0]
    assert choices() == {}


def test_the_fastest_way_is_kept_and_found_by_the_next_process(place, monkeypatch):
    monkeypatch.setattr(tuner, "measure", lambda asked, device: slow_default(asked))
    (result,) = kcore_opencl.tune(shapes=[SHAPE], progress=False)
    forget(place)
    way = pick(place)
    assert repr(way) == result.way != repr(products.candidates(node(), place.traits)[0])
    assert choices() == {store(place).name: {key_of(node()): result.way}}


def slow_default(asked) -> measuring.Result:
    way = asked.candidates(asked.node, asked.traits)[-1]
    return measuring.Result(key_of(asked.node), "label", repr(way), 9.0, 3.0, 2, 100)


def test_candidates_are_measured_and_compute_the_same(place, device):
    (result,) = kcore_opencl.tune(shapes=[SHAPE], progress=False)
    assert result.key == key_of(node())
    assert result.tried > 1 and 0 < result.best <= result.default
    forget(place)
    a, b = (np.random.default_rng(i).random(s, np.float32) for i, s in enumerate([(24, 40), (40, 48)]))
    np.testing.assert_allclose(np.asarray(kcore.ops.matmul(a, b)), a @ b, rtol=1e-5)


def test_a_process_stays_with_what_it_took(place):
    before = pick(place)
    other = products.candidates(node(), place.traits)[1]
    store(place).keep(key_of(node()), repr(other), 1.0, 2.0)
    assert pick(place) == before
    forget(place)
    assert pick(place) == other


def test_a_way_that_is_none_any_more_is_not_taken(place):
    store(place).keep(key_of(node()), "Tiling(of an older version)", 1.0, 2.0)
    assert pick(place) == products.candidates(node(), place.traits)[0]


def test_other_drivers_and_versions_choose_for_themselves(place, monkeypatch):
    store(place).keep("some product", "some way", 1.0, 2.0)
    assert Store(place.device).choices == {"some product": "some way"}
    about = disk_cache.identity(place.device)
    monkeypatch.setattr("kcore_opencl.tuning.store.identity", lambda _: {**about, "kcore": "9.9 9.9"})
    assert Store(place.device).choices == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"about": 1}', "null"])
def test_damaged_files_are_ignored(place, content):
    store(place).keep("some product", "some way", 1.0, 2.0)
    (file,) = cache.CACHE.folder.glob("tuning/*/*.json")
    file.write_text(content)
    assert Store(place.device).choices == {}


def test_processes_that_tune_at_once_share_what_they_find(place):
    stores = [Store(place.device) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: stores[i % 4].keep(f"product {i}", "way", 1.0, 2.0), range(40)))
    assert len(Store(place.device).choices) == 40
    for file in cache.CACHE.folder.glob("tuning/*/*.json"):
        json.loads(file.read_text())


def test_choices_can_be_recorded_and_used_again(place):
    other = products.candidates(node(), place.traits)[1]
    recorded = {store(place).name: {key_of(node()): repr(other)}}
    store(place).keep(key_of(node("matmul 8x8x32")), "what the disk says", 1.0, 2.0)
    use(recorded)
    assert pick(place) == other
    assert choices() == recorded
    with pytest.raises(RuntimeError, match="chosen already"):
        use({})


def test_an_interrupt_keeps_what_was_found(place, monkeypatch):
    def interrupted(asked, device):
        if key_of(asked.node) == key_of(node(SHAPE)):
            return slow_default(asked)
        raise KeyboardInterrupt

    monkeypatch.setattr(tuner, "measure", interrupted)
    results = kcore_opencl.tune(shapes=[SHAPE, "matmul 8x8x32"], progress=False)
    assert [r.key for r in results] == [key_of(node())]
    assert list(Store(place.device).choices) == [key_of(node())]


def test_a_models_step_is_tuned_forward_and_back(place, monkeypatch):
    monkeypatch.setattr(tuner, "measure", lambda asked, device: slow_default(asked))
    layers = kcore.layers
    model = kcore.Sequential([kcore.Input((6, 6, 3)), layers.Conv2D(8, 3), layers.Flatten(), layers.Dense(10)])
    before = [w.copy() for w in model.get_weights()]
    results = kcore_opencl.tune(model, batch_size=4, progress=False)
    assert sorted(r.key.split(" ")[0] for r in results) == ["conv", "conv_kernel_grad", "matmul", "matmul", "matmul"]
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_tuning_needs_fixed_shapes_and_a_device_of_this_backend(place):
    with pytest.raises(KcoreError, match="shapes of its inputs"):
        kcore_opencl.tune(SimpleNamespace(inputs=None))
    with pytest.raises(KcoreError, match="fixed shapes"):
        kcore_opencl.tune(SimpleNamespace(inputs=[SimpleNamespace(shape=(None, None, 3), dtype="float32")]))
    kcore.use_backend("numpy")
    with pytest.raises(KcoreError, match="use_backend"):
        kcore_opencl.tune(shapes=[SHAPE])


def test_the_fastest_of_some_ways_wins_unless_the_gain_is_noise(monkeypatch):
    now = 0.0
    monkeypatch.setattr(measuring, "time", SimpleNamespace(perf_counter=lambda: now))

    def launch(seconds):
        def run():
            nonlocal now
            now += seconds

        run.place = SimpleNamespace(queue=SimpleNamespace(finish=lambda: None))
        return run

    def measured(*seconds):
        monkeypatch.setattr(measuring, "_launches", lambda *_: [launch(s) for s in seconds])
        monkeypatch.setattr(measuring, "place_of", lambda device: None)
        asked = choosing.Asked(node(), None, lambda *_: [f"way {i}" for i in range(len(seconds))], lambda *_: Code(()))
        return measuring.measure(asked, None).way

    assert measured(3e-3, 1e-3, 2e-3) == "'way 1'"
    assert measured(2e-3, 1.97e-3, 2e-3) == "'way 0'"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("matmul 4x5x6 transpose_b", ["matmul float32[4, 5] float32[6, 5] transpose_a=False transpose_b=True"]),
        (
            "dense 4x5x6 float64",
            [
                "matmul float64[4, 5] float64[5, 6] transpose_a=False transpose_b=False",
                "matmul float64[4, 6] float64[5, 6] transpose_a=False transpose_b=True",
                "matmul float64[4, 5] float64[4, 6] transpose_a=True transpose_b=False",
            ],
        ),
    ],
)
def test_texts_stand_for_products(text, keys):
    assert [key_of(n) for n in nodes_of(text)] == keys


def test_texts_stand_for_convolutions_as_layers_make_them():
    forward, to_input, to_kernel = nodes_of("conv 2x9x9x4 3x3x6 same strides=2 groups=2")
    assert forward.outputs[0].shape == (2, 5, 5, 6)
    assert forward.attrs["padding"] == ((1, 1), (1, 1))
    assert forward.inputs[1].shape == (3, 3, 2, 6)
    assert to_input.outputs[0].shape == (2, 9, 9, 4)
    assert to_kernel.outputs[0].shape == (3, 3, 2, 6)


@pytest.mark.parametrize("text", ["matmul", "matmul 3x4", "lstm 3x4x5", "matmul 3x4x5 fast", "conv 2x9x9x4 3x3", ""])
def test_other_texts_are_explained(text):
    with pytest.raises(KcoreError, match="matmul 128x784x256"):
        nodes_of(text)


def test_the_command_tunes_and_prints(place, device, capsys, monkeypatch):
    monkeypatch.setattr(tuner, "measure", lambda asked, device: slow_default(asked))
    assert main(["tune", "--device", str(device.device), "--shapes", SHAPE]) == 0
    out = capsys.readouterr().out
    assert key_of(node()) in out and "3.00" in out
    assert main(["tune", "--device", str(device.device), "--shapes", "matmul 3"]) == 1
    assert main(["tune"]) == 2


def test_asking_for_commands_imports_nothing_of_opencl():
    script = "import sys, kcore_opencl.cli as c; c.kcore_commands(); print('pyopencl' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_devices_with_equal_traits_are_one(place):
    assert choosing.store_of(traits_of(place.device)) is store(place)
