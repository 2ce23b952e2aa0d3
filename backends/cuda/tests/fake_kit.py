"""The whole conformance kit on the fake GPU, whose kernels an OpenCL driver for CPUs computes: a program.

``python backends/cuda/tests/fake_kit.py [arguments of pytest]`` ends with pytest's status. It shows what is around
kernels (planning, binding, order of arguments, graphs) at work on every sample of every op, not CUDA itself.
"""

from __future__ import annotations

import sys
import tempfile

import pytest
from fake_cuda import HOPPER, TURING, Fake
from opencl_executor import Executor, device_of_host_memory


def main(arguments: list[str]) -> int:
    """Run the kit; 0 too where there is no driver to compute with, which is said."""
    device = device_of_host_memory()
    if device is None:
        print('no OpenCL driver with generic pointers; to install it, type: pip install "kcore[opencl-intel]"')
        return 0
    from kcore.backend import backend_of
    from kcore.testing import run
    from kcore_cuda import device_list, gpus, installation
    from kcore_cuda.gpus import Listing

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setenv("KCORE_CACHE_DIR", folder)
        patch.setattr(gpus, "listing", lambda: Listing(13000, (HOPPER, TURING)))
        patch.setattr(installation, "problem_of", lambda found: None)
        fake = Fake(Executor(device))
        fake.install(patch)
        backend = backend_of("cuda")
        patch.setattr(backend, "_list", device_list.DeviceList())
        for kernel in [k for k in backend.kernels if k.priority > 0]:  # they want NVIDIA's libraries
            backend.kernels.remove(kernel)
        return run("cuda:0", arguments=arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
