"""The switches and limits of keras.config."""

from __future__ import annotations

import logging

import keras
import numpy as np
import pytest

import kcore
from kcore import config, layers
from kcore.errors import ConfigError


def test_every_name_of_keras_config_is_there():
    missing = {name for name in dir(keras.config) if not name.startswith("_")} - set(dir(config))
    assert not missing


@pytest.mark.parametrize("name", ["max_epochs", "max_steps_per_epoch"])
def test_limits_by_call_and_environment(name, monkeypatch):
    get, put, variable = getattr(config, name), getattr(config, f"set_{name}"), f"KERAS_{name.upper()}"
    monkeypatch.setattr(config, "_max_epochs", config._UNSET)
    monkeypatch.setattr(config, "_max_steps", config._UNSET)
    assert get() is None
    monkeypatch.setenv(variable, "3")
    assert get() == 3
    put(2)
    assert get() == 2
    put(None)
    assert get() is None
    for bad in (0, -1, True, 1.5, "2"):
        with pytest.raises(ValueError, match=f"{name} should be a positive integer or None, not {bad!r}"):
            put(bad)
    monkeypatch.setattr(config, "_max_epochs", config._UNSET)
    monkeypatch.setattr(config, "_max_steps", config._UNSET)
    monkeypatch.setenv(variable, "many")
    with pytest.raises(ConfigError, match=f"{variable} should be a positive integer, not 'many'"):
        get()


def test_messages_go_to_the_logger_where_interactive_logging_is_off(capsys, caplog):
    config.say("to the screen")
    config.disable_interactive_logging()
    try:
        assert not config.is_interactive_logging_enabled()
        with caplog.at_level(logging.INFO, logger="kcore"):
            config.say("to the log")
    finally:
        config.enable_interactive_logging()
    assert capsys.readouterr().out == "to the screen\n"
    assert [record.message for record in caplog.records] == ["to the log"]


def test_what_means_nothing_here_says_so():
    with pytest.warns(UserWarning, match="never runs code that a file carries"):
        config.enable_unsafe_deserialization()
    config.disable_flash_attention()
    assert config.is_flash_attention_enabled() is False
    config.enable_flash_attention()
    assert config.is_flash_attention_enabled() is None
    config.enable_traceback_filtering()
    assert config.is_traceback_filtering_enabled() is False and config.is_nnx_enabled() is False


def test_limits_count_in_fit_evaluate_and_predict():
    model = kcore.Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((8, 2), "float32")
    config.set_max_epochs(2)
    config.set_max_steps_per_epoch(3)
    try:
        with pytest.warns(UserWarning, match=r"max_epochs\(\) limits the 5 epochs to 2"):
            with pytest.warns(UserWarning, match=r"max_steps_per_epoch\(\) limits the 8 steps to 3"):
                history = model.fit(x, x[:, :1], batch_size=1, epochs=5, verbose=0)
        with pytest.warns(UserWarning, match="limits the 8 steps to 3"):
            assert model.predict(x, batch_size=1, verbose=0).shape == (3, 1)
        assert model.predict(x, batch_size=4, verbose=0).shape == (8, 1)
    finally:
        config.set_max_epochs(None)
        config.set_max_steps_per_epoch(None)
    assert history.epoch == [0, 1] and int(model.optimizer.iterations.value) == 6


def test_progress_goes_to_the_logger_where_interactive_logging_is_off(capsys, caplog):
    model = kcore.Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    config.disable_interactive_logging()
    try:
        with caplog.at_level(logging.INFO, logger="kcore"):
            model.fit(np.ones((8, 2)), np.ones((8, 1)), verbose=2)
    finally:
        config.enable_interactive_logging()
    assert capsys.readouterr().out == "" and "loss" in caplog.text
