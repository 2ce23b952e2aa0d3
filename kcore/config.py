"""Settings every room reads: `keras.json`, environment variables, and the functions of `keras.config`."""

from __future__ import annotations

import json
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kcore.errors import ConfigError, warn_user

FLOATX = ("bfloat16", "float16", "float32", "float64")
IMAGE_DATA_FORMATS = ("channels_last", "channels_first")

# Read from keras.json when first asked for; None until then.
_floatx: str | None = None
_epsilon: float | None = None
_image_data_format: str | None = None
_file: ConfigFile | None = None

_UNSET: Any = object()
_max_epochs: Any = _UNSET
_max_steps: Any = _UNSET
_interactive = True
_determinism = False
_flash_attention: bool | None = None


@dataclass(frozen=True)
class ConfigFile:
    """What a keras.json says.

    Attributes:
        path: the file, whether it exists or not.
        values: the settings in it that were checked: `backend`, `floatx`, `epsilon`, `image_data_format`.
    """

    path: Path
    values: dict[str, Any]


def keras_home() -> Path:
    """The folder of keras.json, data sets and pretrained weights.

    ``$KERAS_HOME`` if that is set, else ``~/.keras``, else, where home cannot be written, ``.keras`` in the temporary
    folder. The folder need not exist.
    """
    chosen = os.environ.get("KERAS_HOME")
    if chosen:
        return Path(chosen).expanduser()
    home = Path(os.path.expanduser("~"))
    folder = home / ".keras"
    writable = folder if folder.exists() else home
    if os.access(writable, os.W_OK):
        return folder
    import tempfile  # not cheap, and seldom needed

    return Path(tempfile.gettempdir()) / ".keras"


def read_config(path: Path) -> ConfigFile:
    """Read and check one keras.json; a missing file is an empty one.

    Raises:
        ConfigError: it cannot be read, is not JSON, or holds a value of the wrong kind; the message names the file,
            the line and what was expected.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return ConfigFile(path, {})
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}; expected a JSON text file") from error
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        line = text.splitlines()[error.lineno - 1] if text.strip() else ""
        raise ConfigError(
            f"{path}, line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}\n"
            f"  {line}\n  {' ' * (error.colno - 1)}^\n"
            'expected an object like {"backend": "numpy", "floatx": "float32"}'
        ) from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}, line 1: expected an object like {{...}}, found {_kind(content)}")
    for key, value in content.items():
        expected = _expectation(key, value)
        if expected:
            raise ConfigError(
                f"{path}, line {_line_of(text, key)}: {key!r} should be {expected}, not {json.dumps(value)}"
            )
    return ConfigFile(path, {k: content[k] for k in _KEYS if k in content})


_KEYS = ("backend", "floatx", "epsilon", "image_data_format")


def _expectation(key: str, value: Any) -> str | None:
    """What a setting should have been, or None if it is right; keys of other programs are none of our business."""
    if key == "backend" and not (isinstance(value, str) and value.strip()):
        return 'the name of a backend, like "numpy"'
    if key == "floatx" and value not in FLOATX:
        return "one of " + ", ".join(map(json.dumps, FLOATX))
    if key == "epsilon" and not _is_epsilon(value):
        return "a positive number, like 1e-07"
    if key == "image_data_format" and value not in IMAGE_DATA_FORMATS:
        return "one of " + ", ".join(map(json.dumps, IMAGE_DATA_FORMATS))
    return None


def _is_epsilon(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf")


def _line_of(text: str, key: str) -> int:
    found = re.search(rf"{re.escape(json.dumps(key))}\s*:", text)
    return text.count("\n", 0, found.start()) + 1 if found else 1


def _kind(value: Any) -> str:
    kinds = {list: "a list", str: "a string", int: "a number", float: "a number", bool: "true or false"}
    return kinds.get(type(value), "null")


def config_file() -> ConfigFile:
    """The keras.json in force, read once."""
    global _file
    if _file is None:
        _file = read_config(keras_home() / "keras.json")
    return _file


def reload() -> None:
    """Forget every setting, so that keras.json is read anew when one is next asked for."""
    global _file, _floatx, _epsilon, _image_data_format
    _file = _floatx = _epsilon = _image_data_format = None


def floatx() -> str:
    """The default float dtype, as a name.

    Example:
        >>> floatx()
        'float32'
    """
    global _floatx
    if _floatx is None:
        _floatx = config_file().values.get("floatx", "float32")
    return _floatx


def set_floatx(value: str) -> None:
    """Set the default float dtype: ``"bfloat16"``, ``"float16"``, ``"float32"`` or ``"float64"``.

    Raises:
        ValueError: another value.

    Example:
        >>> set_floatx("float64"); floatx(); set_floatx("float32")
        'float64'
    """
    global _floatx
    if value not in FLOATX:
        raise ValueError(f"floatx should be one of {', '.join(map(repr, FLOATX))}, not {value!r}")
    _floatx = str(value)


def epsilon() -> float:
    """The small number that keeps divisions and logarithms finite.

    Example:
        >>> epsilon()
        1e-07
    """
    global _epsilon
    if _epsilon is None:
        _epsilon = float(config_file().values.get("epsilon", 1e-7))
    return _epsilon


def set_epsilon(value: float) -> None:
    """Set the small number that keeps divisions and logarithms finite.

    Raises:
        ValueError: it is not a positive number.
    """
    global _epsilon
    if not _is_epsilon(value):
        raise ValueError(f"epsilon should be a positive number, not {value!r}")
    _epsilon = float(value)


def image_data_format() -> str:
    """Where the channels of images are: ``"channels_last"`` or ``"channels_first"``.

    Example:
        >>> image_data_format()
        'channels_last'
    """
    global _image_data_format
    if _image_data_format is None:
        _image_data_format = config_file().values.get("image_data_format", "channels_last")
    return _image_data_format


def set_image_data_format(data_format: str) -> None:
    """Set where the channels of images are.

    Raises:
        ValueError: neither ``"channels_last"`` nor ``"channels_first"``.
    """
    global _image_data_format
    value = str(data_format).lower()
    if value not in IMAGE_DATA_FORMATS:
        raise ValueError(f"image_data_format should be one of {IMAGE_DATA_FORMATS}, not {data_format!r}")
    _image_data_format = value


def standardize_data_format(data_format: str | None) -> str:
    """A layer's or op's `data_format` argument: None means the setting in force.

    Raises:
        ValueError: neither ``"channels_last"`` nor ``"channels_first"``.
    """
    if data_format is None:
        return image_data_format()
    value = str(data_format).lower()
    if value not in IMAGE_DATA_FORMATS:
        raise ValueError(f"data_format should be one of {IMAGE_DATA_FORMATS}, not {data_format!r}")
    return value


# -- limits for trying out --------------------------------------------------------------------------------------------


def _limit(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} should be a positive integer or None, not {value!r}")
    return value


def _limit_of_environment(variable: str) -> int | None:
    value = os.environ.get(variable, "").strip()
    if value and not (value.isdigit() and int(value)):
        raise ConfigError(f"the environment variable {variable} should be a positive integer, not {value!r}")
    return int(value) if value else None


def max_epochs() -> int | None:
    """The largest number of epochs `fit` runs, whatever it is told; None if there is no limit.

    Set by `set_max_epochs` or the environment variable KERAS_MAX_EPOCHS, to try a script out.
    """
    return _limit_of_environment("KERAS_MAX_EPOCHS") if _max_epochs is _UNSET else _max_epochs


def set_max_epochs(max_epochs: int | None) -> None:
    """Limit the epochs of every `fit`; None ends that.

    Raises:
        ValueError: not a positive integer.

    Example:
        >>> set_max_epochs(1); max_epochs()
        1
        >>> set_max_epochs(None)
    """
    global _max_epochs
    _max_epochs = _limit("max_epochs", max_epochs)


def max_steps_per_epoch() -> int | None:
    """The largest number of steps in an epoch of `fit`, `evaluate` and `predict`; None if there is no limit.

    Set by `set_max_steps_per_epoch` or the environment variable KERAS_MAX_STEPS_PER_EPOCH.
    """
    return _limit_of_environment("KERAS_MAX_STEPS_PER_EPOCH") if _max_steps is _UNSET else _max_steps


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Limit the steps of every epoch of `fit`, `evaluate` and `predict`; None ends that.

    Raises:
        ValueError: not a positive integer.
    """
    global _max_steps
    _max_steps = _limit("max_steps_per_epoch", max_steps_per_epoch)


# -- switches ----------------------------------------------------------------------------------------------------------


def enable_interactive_logging() -> None:
    """Let progress and messages go to standard output, which is the default."""
    global _interactive
    _interactive = True


def disable_interactive_logging() -> None:
    """Let progress and messages go to the logger ``kcore`` instead of standard output."""
    global _interactive
    _interactive = False


def is_interactive_logging_enabled() -> bool:
    """Whether progress and messages go to standard output.

    Example:
        >>> is_interactive_logging_enabled()
        True
    """
    return _interactive


def say(message: str) -> None:
    """Print a line for the user, or log it where interactive logging is disabled."""
    if _interactive:
        print(message, flush=True)
    else:
        logging.getLogger("kcore").info(message)


def enable_op_determinism() -> None:
    """Let everything that would differ from run to run be an error.

    kcore's ops are deterministic as they are: sums are added up in an order that a plan fixes, no atomics, batches of
    workers come in the order of their numbers. What this switch refuses is randomness without a seed: initial weights,
    shuffles, dropout and `kcore.random` before `kcore.utils.set_random_seed`. What it cannot see is randomness of
    your own code: a generator that asks the clock, or iterates over a set of strings.

    Two runs agree bit for bit on one device, with one number of threads: the NumPy backend cuts sums into as many
    pieces as it has threads (KCORE_NUM_THREADS). `kcore.utils.use_session_with_seed` takes one thread, and so agrees
    between machines of different sizes.

    Source: `tf.config.experimental.enable_op_determinism`.
    """
    global _determinism
    _determinism = True


def disable_op_determinism() -> None:
    """Allow randomness without a seed again, which is the default."""
    global _determinism
    _determinism = False


def is_op_determinism_enabled() -> bool:
    """Whether randomness without a seed is an error.

    Example:
        >>> is_op_determinism_enabled()
        False
    """
    return _determinism


def enable_traceback_filtering() -> None:
    """Has no effect: tracebacks are shown whole, and the message says which layer or op it was and what it got."""


def disable_traceback_filtering() -> None:
    """Has no effect: tracebacks are shown whole anyhow."""


def is_traceback_filtering_enabled() -> bool:
    """False: tracebacks are shown whole.

    Example:
        >>> is_traceback_filtering_enabled()
        False
    """
    return False


def enable_flash_attention() -> None:
    """Leave the choice of the kernel for attention to the backend; it always is, so this only sets the answer below."""
    global _flash_attention
    _flash_attention = None


def disable_flash_attention() -> None:
    """Say that attention should not run in blocks. It is noted; which kernel runs stays the backend's choice.

    Attention is one op here, and gives the same values up to rounding however it is computed.
    """
    global _flash_attention
    _flash_attention = False


def is_flash_attention_enabled() -> bool | None:
    """False after `disable_flash_attention`, else None: the backend chooses.

    Example:
        >>> is_flash_attention_enabled() is None
        True
    """
    return _flash_attention


def enable_unsafe_deserialization() -> None:
    """Has no effect beyond a warning: code from a file (a saved lambda) is never run."""
    warn_user(
        "enable_unsafe_deserialization() has no effect: kcore never runs code that a file carries. Replace a saved "
        "lambda by a named function, registered with register_serializable()"
    )


def is_nnx_enabled() -> bool:
    """False: Flax NNX is a matter of Keras on JAX."""
    return False


# -- dtypes and backend ------------------------------------------------------------------------------------------------


def dtype_policy() -> Any:
    """The dtype policy of layers that are given none.

    Example:
        >>> dtype_policy()
        <DTypePolicy "float32">
    """
    from kcore import dtype_policies

    return dtype_policies.dtype_policy()


def set_dtype_policy(policy: Any) -> None:
    """Set the dtype policy of layers made from now on, by name or as a `DTypePolicy`.

    Raises:
        ValueError: not the name of a policy.
    """
    from kcore import dtype_policies

    dtype_policies.set_dtype_policy(policy)


def backend() -> str:
    """The name of the backend in use; chooses one if none was chosen yet.

    Raises:
        BackendNotFoundError: the one that the environment or keras.json asks for is not installed.
    """
    from kcore.backend import current

    return current().name


def set_backend(name: str) -> None:
    """Choose a backend by name, as `kcore.use_backend` does; models that exist move to it on next use."""
    from kcore.backend import use_backend

    use_backend(name)
