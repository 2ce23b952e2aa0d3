"""keras.json is read where Keras reads it, checked, and never written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from kcore import config
from kcore.errors import ConfigError


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty folder as KERAS_HOME, with nothing read from it yet."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    config.reload()
    yield tmp_path
    config.reload()


def write(home: Path, text: str) -> Path:
    path = home / "keras.json"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_without_a_file(home):
    assert (config.floatx(), config.epsilon(), config.image_data_format()) == ("float32", 1e-7, "channels_last")
    assert not list(home.iterdir()), "reading the settings must not write a file"


def test_values_of_the_file_count(home):
    content = {"floatx": "float64", "epsilon": 1e-5, "image_data_format": "channels_first", "backend": "numpy"}
    write(home, json.dumps(content))
    assert (config.floatx(), config.epsilon(), config.image_data_format()) == ("float64", 1e-5, "channels_first")
    assert config.config_file().values == content


def test_foreign_keys_are_left_alone(home):
    path = write(home, '{"nnx_enabled": true, "floatx": "float16"}')
    before = path.read_bytes()
    assert config.floatx() == "float16"
    assert path.read_bytes() == before


def test_a_byte_order_mark_is_no_error(home):
    (home / "keras.json").write_bytes(b'\xef\xbb\xbf{"floatx": "float64"}')
    assert config.floatx() == "float64"


def test_malformed_json_names_file_line_and_column(home):
    path = write(home, '{\n  "floatx": "float32",\n  "epsilon" 1e-7\n}\n')
    with pytest.raises(ConfigError) as error:
        config.floatx()
    message = str(error.value)
    assert f"{path}, line 3, column 13" in message
    assert "Expecting ':' delimiter" in message and '"epsilon" 1e-7' in message
    assert "expected an object like" in message


def test_an_empty_file_is_malformed(home):
    write(home, "")
    with pytest.raises(ConfigError, match="line 1, column 1"):
        config.floatx()


def test_a_list_is_no_configuration(home):
    path = write(home, "[1, 2]")
    with pytest.raises(ConfigError) as error:
        config.floatx()
    assert f"{path}, line 1: expected an object like" in str(error.value) and "found a list" in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("floatx", "float8", 'one of "bfloat16", "float16", "float32", "float64"'),
        ("floatx", 32, "one of"),
        ("floatx", ["float32"], "one of"),
        ("epsilon", "1e-7", "a positive number"),
        ("epsilon", True, "a positive number"),
        ("epsilon", -1, "a positive number"),
        ("image_data_format", "channels", 'one of "channels_last", "channels_first"'),
        ("backend", 3, "the name of a backend"),
        ("backend", "", "the name of a backend"),
    ],
)
def test_a_wrong_value_names_file_line_key_and_what_was_expected(home, key, value, expected):
    path = write(home, '{\n "other": 1,\n ' + json.dumps(key) + ": " + json.dumps(value) + "\n}")
    with pytest.raises(ConfigError) as error:
        config.floatx()
    assert f"{path}, line 3: {key!r} should be {expected}" in str(error.value)
    assert f"not {json.dumps(value)}" in str(error.value)


def test_a_file_that_is_no_text(home):
    (home / "keras.json").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="cannot be read"):
        config.floatx()


def test_setters_check_their_values(home):
    config.set_floatx("float16")
    config.set_epsilon(1e-3)
    config.set_image_data_format("channels_first")
    assert (config.floatx(), config.epsilon(), config.image_data_format()) == ("float16", 1e-3, "channels_first")
    for setter, wrong in ((config.set_floatx, "half"), (config.set_epsilon, 0), (config.set_image_data_format, "NCHW")):
        with pytest.raises(ValueError, match="should be"):
            setter(wrong)
    with pytest.raises(ValueError, match="'NCHW'"):
        config.standardize_data_format("NCHW")
    assert config.standardize_data_format(None) == "channels_first"


def test_home_is_dot_keras_in_the_users_home(monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config.keras_home() == tmp_path / ".keras"


def test_temporary_folder_where_home_cannot_be_written(monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).startswith(str(tmp_path)))
    assert config.keras_home() == Path(tempfile.gettempdir()) / ".keras"


def test_importing_the_settings_loads_only_the_standard_library():
    heavy = ("numpy", "pluggy", "h5py", "rich", "ml_dtypes")
    code = f"import sys, kcore.config; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
