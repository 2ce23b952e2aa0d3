"""Warnings point at the user's own line, however deep in kcore their cause is found."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

import kcore
from kcore import layers
from kcore.errors import warn_user


class Doubled(layers.Layer):
    supports_masking = False

    def call(self, inputs):
        return inputs * 2.0


def leaky():
    layers.LeakyReLU(alpha=0.2)


def decay():
    kcore.optimizers.get({"class_name": "SGD", "config": {"learning_rate": 0.1, "decay": 0.1}})


def mask():
    kcore.Sequential([layers.Input((3,)), layers.Embedding(5, 2, mask_zero=True), Doubled()])


def one_class():
    model = kcore.Sequential([kcore.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "categorical_crossentropy")
    model.fit(np.zeros((4, 2)), np.ones((4, 1)), verbose=0)


def no_gradient():
    x = kcore.Input((2,))
    one, other = layers.Dense(1, name="one"), layers.Dense(1, name="other")
    model = kcore.Model(x, [one(x), other(x)])
    model.compile("sgd", ["mse", None])
    model.fit(np.zeros((4, 2)), [np.ones((4, 1))] * 2, verbose=0)


def runs_out():
    model = kcore.Sequential([kcore.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(((np.zeros((4, 2)), np.ones((4, 1))) for _ in range(2)), epochs=2, verbose=0)


@pytest.mark.parametrize(
    "cause, said",
    [
        (leaky, "alpha"),
        (decay, "decay is ignored"),
        (mask, "does not support masking"),
        (one_class, "only one class"),
        (no_gradient, "no gradient for other"),
        (runs_out, "generator|iterator"),
    ],
)
def test_a_warning_names_a_line_of_the_script(cause, said):
    with pytest.warns(UserWarning if cause is not one_class else SyntaxWarning, match=said) as seen:
        cause()
    assert [(w.filename, w.lineno > cause.__code__.co_firstlineno) for w in seen][-1] == (__file__, True)


def test_the_backend_of_another_engine_in_keras_json_is_noted_at_the_line_that_chose_one(tmp_path):
    (tmp_path / "keras.json").write_text('{"backend": "tensorflow"}')
    (tmp_path / "script.py").write_text(
        "import kcore\n\nkcore.Sequential([kcore.layers.Input((3,)), kcore.layers.Dense(2)])\n"
    )
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), "KERAS_BACKEND": ""}
    result = subprocess.run([sys.executable, tmp_path / "script.py"], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert f"{tmp_path}/script.py:3: UserWarning: {tmp_path}/keras.json names 'tensorflow'" in result.stderr


def test_frames_of_pythons_own_library_are_passed_over():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        namespace = {"warn_user": warn_user}
        inner = os.path.join(os.path.dirname(os.__file__), "contextlib.py")
        exec(compile("def f():\n warn_user('said')\n", inner, "exec"), namespace)
        namespace["f"]()
    assert [w.filename for w in seen] == [__file__]
