"""A fresh start: names and seeds reset, one seed for everything, no GPU, one thread."""

from __future__ import annotations

import gc
import os

from kcore import config
from kcore.backend import current, devices, use_backend
from kcore.backend.installed import started
from kcore.errors import BackendNotFoundError
from kcore.naming import reset_names
from kcore.runtime import seeds

__all__ = ["clear_session", "use_session_with_seed"]


def clear_session(free_memory: bool = True) -> None:
    """Start automatic names and the global random state again; models that exist go on working.

    Args:
        free_memory: also collect what nobody uses any more, whose memory then goes back to the device, and let
            go of compiled kernels that no model runs.

    Example:
        >>> import kcore
        >>> kcore.utils.clear_session()
        >>> kcore.layers.Dense(1).name
        'dense'

    Source: `keras.utils.clear_session`.
    """
    reset_names()
    seeds.forget_global_generator()
    if free_memory:
        gc.collect()
        for backend in started():
            backend.release()


def use_session_with_seed(
    seed: int, disable_gpu: bool = True, disable_parallel_cpu: bool = True, quiet: bool = False
) -> None:
    """Start a session whose results are the same, bit for bit, every time the script runs.

    It starts names again, as `clear_session` does, and seeds Python's `random`, NumPy and kcore, as `set_random_seed`
    does; with the defaults it also takes a CPU and one thread, so that sums do not depend on how many cores there are.
    Processes started from here on hash strings alike (PYTHONHASHSEED).

    Call it before models are made. A model made before keeps its weights.

    Args:
        seed: an int in [0, 2^32).
        disable_gpu: use a CPU, if the device in use is none: the best that is installed.
        disable_parallel_cpu: compute in one thread. If False, the number of threads is again what the environment
            says, and results depend on it, but are the same for the same number.
        quiet: whether to say nothing about it.

    Raises:
        ValueError: `seed` is no such int.
        BackendNotFoundError: no CPU is there to use.

    Example:
        >>> import kcore
        >>> use_session_with_seed(42, quiet=True); a = kcore.layers.Dense(2); a.build((None, 3))
        >>> use_session_with_seed(42, quiet=True); b = kcore.layers.Dense(2); b.build((None, 3))
        >>> a.name == b.name, bool((a.kernel.numpy() == b.kernel.numpy()).all())
        (True, True)
        >>> use_session_with_seed(42, disable_parallel_cpu=False, quiet=True)

    Source: `use_session_with_seed` of the R interface to Keras.
    """
    seeds.check_session_seed(seed)
    if disable_gpu and current().device.kind != "cpu":
        found = next((device for device in devices() if device.kind == "cpu"), None)
        if found is None:
            raise BackendNotFoundError(
                f"use_session_with_seed(disable_gpu=True): {current()} is no CPU, and no backend for one is installed: "
                "pip install kcore-numpy"
            )
        use_backend(str(found))
    for backend in started():
        backend.set_threads(1 if disable_parallel_cpu else None)
    os.environ["PYTHONHASHSEED"] = "0"
    clear_session()
    seeds.set_random_seed(seed)
    if not quiet:
        where = f"on {current()}, {'one thread' if disable_parallel_cpu else 'as many threads as are set'}"
        config.say(f"kcore: the session starts with seed {seed}, {where}")
