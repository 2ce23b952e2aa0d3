"""What the tests of the OpenCL backend share: the devices that install without a GPU, one test run on each."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from kcore.backend import Device, backend_of, installed
from kcore.errors import BackendNotFoundError

#: What chooses each driver, and the extra of kcore that installs it.
DRIVERS = {"intel-cpu": "opencl-intel", "pocl": "opencl"}


class Found(NamedTuple):
    """A device as the core knows it, and its state in the backend."""

    device: Device
    place: object


def find(wanted: str) -> Found:
    """The device of a driver; skips the test where the driver is not installed."""
    from kcore_opencl.place import place_of

    try:
        device = installed.pick_device(backend_of("opencl"), wanted)
    except BackendNotFoundError as error:
        pytest.skip(f'no device {wanted!r}; to install it, type: pip install "kcore[{DRIVERS[wanted]}]" ({error})')
    return Found(device, place_of(device))


@pytest.fixture(params=DRIVERS)
def device(request: pytest.FixtureRequest) -> Found:
    """Each CPU driver in turn: `device.device` is kcore's device, whose `str` chooses it, `device.place` its state."""
    return find(request.param)


@pytest.fixture
def intel() -> Found:
    """Intel's CPU runtime."""
    return find("intel-cpu")


@pytest.fixture
def pocl() -> Found:
    """PoCL."""
    return find("pocl")
