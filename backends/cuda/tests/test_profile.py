"""KCORE_PROFILE notes every kernel and transfer of a step with its layer, and records no graphs meanwhile."""

from __future__ import annotations

import numpy as np
from fake_cuda import HOPPER

import kcore
from kcore.backend import Device
from kcore.kernels import profile as profiles
from kcore.kernels.report import report
from kcore_cuda import place as places
from kcore_cuda.place import Place


def test_a_profile_knows_kernels_layers_and_transfers(machine, monkeypatch, tmp_path):
    monkeypatch.setenv("KCORE_PROFILE", str(tmp_path / "trace.json"))
    monkeypatch.setattr(profiles, "register", lambda profile: None)
    device = kcore.backend.current().device
    place = Place(Device("cuda", 0, HOPPER.name, "gpu", HOPPER.memory), HOPPER)
    monkeypatch.setitem(places._places, str(device), place)
    monkeypatch.setattr(profiles, "_profiles", [place.profile])
    monkeypatch.setattr("kcore.backend.compile._arenas", {})
    net = kcore.Sequential([kcore.Input((16,)), kcore.layers.Dense(8, activation="relu", name="hidden")])
    net.compile("sgd", "mse")
    net.fit(np.ones((40, 16), "float32"), np.ones((40, 8), "float32"), batch_size=4, verbose=0)
    assert "begin" not in machine.calls
    place.profile.finish()
    table = "\n".join(report(place.profile.name, place.profile.rows.values(), place.profile.steps))
    for part in ("CUDA: NVIDIA Fake H100", "hidden: matmul", "transfer: upload", "transfer: gather", "steps of"):
        assert part in table, table
    tracks = {e["name"] for e in profiles.trace_events([place.profile]) if e["ph"] == "X" and e["tid"] == 1}
    assert any("hidden" in name for name in tracks)
