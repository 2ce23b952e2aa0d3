"""The devices that are found, how they are chosen, and what is said of those that are not used."""

from __future__ import annotations

from kcore.backend import devices


def test_each_driver_gives_a_device_with_a_place(device):
    assert device.device in devices("opencl")
    assert device.place.traits.kind == device.device.kind == "cpu"
