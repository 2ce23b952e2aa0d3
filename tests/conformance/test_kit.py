"""The conformance kit finds what is wrong, says it so that it can be found again, and leaves no op out."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import numpy as np
import pytest

import kcore
from kcore.backend.kernel import Kernel, kernels_of
from kcore.graph.op import OPS, Op, Spec
from kcore.testing import check_op
from kcore.testing.cases import all_ops, cases
from kcore.testing.compare import ConformanceError
from kcore.testing.coverage import summary
from kcore.testing.runner import NO_SAMPLES, exemption, run_check


@pytest.fixture
def broken():
    """``broken(op, bind, **options)``: a kernel for NumPy that takes over an op during one test."""
    table = kernels_of("numpy")
    kcore.use_backend("numpy")
    added = []

    def make(op, bind, **options):
        added.append(table.add(Kernel(op, "numpy", bind, priority=99, package="tests", **options)))

    yield make
    for kernel in added:
        table.remove(kernel)


def _fails(op, check, message):
    with pytest.raises(ConformanceError, match=message) as caught:
        run_check(OPS[op], check)
    return str(caught.value)


def test_a_wrong_value_is_reported_with_op_sample_dtype_error_and_command(broken):
    def slightly_off(site):
        x, out = site.inputs[0], site.outputs[0]
        return lambda: np.copyto(out, np.tanh(x) * 1.001)

    broken("tanh", slightly_off)
    text = _fails("tanh", "eager", "op 'tanh', sample 0, dtype float32, on numpy:0 \\(eager\\)")
    assert "tanh(float32[3, 4])" in text
    assert "largest error 0.000" in text and "12 of 12 elements wrong" in text
    assert 'pytest --pyargs kcore.testing --backend numpy -k eager --case "tanh:0:float32"' in text


def test_a_kernel_that_forgets_strides_is_found(broken):
    def forgetful(site):
        x, out = site.inputs[0], site.outputs[0]
        flat = np.ndarray(x.shape, x.dtype, x.base, 0) if not x.flags.c_contiguous and x.base is not None else x
        return partial(np.exp, flat if flat.shape == out.shape else x, out)

    broken("exp", forgetful)
    run_check(OPS["exp"], "eager")
    _fails("exp", "compiled", "compiled, strided inputs")


def test_a_write_past_the_end_of_a_buffer_is_found(broken):
    def overflowing(site):
        x, out = site.inputs[0], site.outputs[0]
        address = out.__array_interface__["data"][0]
        backend, storage, _ = site.memory
        start = address - storage.__array_interface__["data"][0]

        def run():
            np.exp(x, out)
            if start + out.nbytes < len(storage):
                storage[start + out.nbytes] = 7

        return run

    broken("exp", overflowing)
    text = _fails("exp", "compiled", "wrote 1 bytes outside its buffers")
    assert "kernel tests:exp" in text and "is 0 bytes behind the end of float32" in text


def test_a_kernel_that_changes_its_input_is_found(broken):
    def greedy(site):
        x, out = site.inputs[0], site.outputs[0]

        def run():
            np.exp(x, x)
            np.copyto(out, x)

        return run

    broken("exp", greedy)
    _fails("exp", "eager", "input 0 was changed by the call")
    _fails("exp", "compiled", "outside its buffers: the first is byte . of another value")


def test_reading_memory_nobody_wrote_is_found(broken):
    broken("multiply", lambda site: lambda: np.add(site.outputs[0], site.inputs[0], out=site.outputs[0]))
    _fails("multiply", "compiled", "expected")


def test_a_false_promise_to_work_in_place_is_found(broken):
    def reversing(site):
        x, out = site.inputs[0], site.outputs[0]

        def run():
            out[...] = 0
            np.add(out, x[::-1], out=out)

        return run

    broken("flip", reversing, inplace=((0, 0),))
    _fails("flip", "compiled", "depends on where it lies in memory|largest error")


def test_a_wrong_gradient_rule_is_found(monkeypatch):
    kcore.use_backend("numpy")
    monkeypatch.setattr(OPS["sin"], "rule", lambda ctx, g: g * kcore.ops.cos(ctx.inputs[0]) * 1.01)
    text = _fails("sin", "gradient", "gradient of input 0 along a random direction")
    assert "finite differences give" in text and '-k gradient --case "sin:0:float64"' in text


def test_a_missing_gradient_is_found(monkeypatch):
    kcore.use_backend("numpy")
    monkeypatch.setattr(OPS["multiply"], "rule", lambda ctx, g: (g * ctx.inputs[1], None))
    _fails("multiply", "gradient", "gradient of input 1 along a random direction is 0")


def test_a_shape_other_than_infer_says_is_found(monkeypatch):
    kcore.use_backend("numpy")
    monkeypatch.setattr(OPS["argmax"], "_infer", lambda x, axis, keepdims=False: Spec((3,), "int64"))
    with pytest.raises(ConformanceError):
        run_check(OPS["argmax"], "eager")


def test_primitives_only_runs_the_decomposition():
    kcore.use_backend("numpy")
    from kcore.backend.compile import primitives_only

    x = np.ones((2, 3), "float32")
    with primitives_only():
        plan = str(kcore.function(lambda x: kcore.ops.softmax(x)).concrete(x).plan)
    assert ":softmax" not in plan and "exp" in plan
    assert ":softmax" in str(kcore.function(lambda x: kcore.ops.softmax(x)).concrete(x).plan)


def test_a_wrong_decomposition_is_found_with_primitives_only(monkeypatch):
    kcore.use_backend("numpy")
    relu = OPS["relu"]
    wrong = Op("relu", lambda x: kcore.ops.maximum(x, 0.5), primitive=False, family="elementwise",
               infer=relu._infer, promote="common", samples=relu.samples)  # fmt: skip
    monkeypatch.setitem(OPS._ops, "relu", wrong)
    with pytest.raises(ConformanceError, match="relu"):
        check_op(wrong, "numpy")


def test_every_registered_op_has_samples_or_a_reason():
    without = [op.name for op in all_ops() if not op.samples]
    assert sorted(without) == sorted(NO_SAMPLES)
    assert all(exemption(OPS[name], "eager") for name in without)


def test_an_op_without_samples_is_not_exempt():
    op = Op("test_bare", lambda x: x, primitive=True, family="elementwise")
    assert exemption(op, "eager") is None and not list(cases(op))


def test_integers_and_bools_are_tried_where_the_reference_has_them():
    dtypes = lambda name: {c.dtype for c in cases(OPS[name])}  # noqa: E731
    assert dtypes("transpose") == {"float32", "float64", "int32", "bool"}
    assert dtypes("conv") == {"float32", "float64"}
    assert "bool" not in dtypes("subtract") and "int32" in dtypes("subtract")


def test_samples_are_the_same_in_every_run():
    first, again = (next(cases(OPS["matmul"])).arrays() for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_the_summary_counts_every_op_and_lists_what_did_not_run():
    kcore.use_backend("numpy")
    text = "\n".join(summary(["eager|add|24", "gradient|add|6"]))
    assert f"{len(all_ops())} ops registered" in text
    assert "1 ops,    24 cases" in text and "abs (eager)" in text
    assert "from samples: its attributes are graphs; test_control runs it: cond, scan, while" in text
    assert "declared not differentiable: all, any" in text


def test_the_kit_runs_from_pytest_and_from_the_command_line(tmp_path):
    kit = [
        sys.executable,
        "-m",
        "pytest",
        "--pyargs",
        "kcore.testing",
        "--backend",
        "numpy",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*kit, "--case", "tanh:*:float32", "-k", "tanh"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "backend numpy:0" in done.stdout and "5 cases" in done.stdout
    command = [sys.executable, "-m", "kcore", "test-backend", "numpy", "--primitives-only", "--", "-q", "-k", "softmax"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kernels of composites switched off" in done.stdout


def test_the_kit_s_options_do_not_touch_other_test_runs(tmp_path):
    (tmp_path / "conftest.py").write_text("def pytest_addoption(parser): parser.addoption('--backend')\n")
    (tmp_path / "test_mine.py").write_text(
        "def test_mine(pytestconfig): assert pytestconfig.getoption('--backend') == 'x'\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "--backend", "x", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_skip_if_no_backend():
    assert kcore.testing.skip_if_no_backend("numpy").args == (False,)
    mark = kcore.testing.skip_if_no_backend("no-such-backend")
    assert mark.args == (True,) and "no-such-backend" in mark.kwargs["reason"]
