"""MKL in NumPy's place: equal products and functions, bits that do not depend on threads, and how it is chosen."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from itertools import product

import numpy as np
import pytest

from kcore_numpy import blas, mkl, schedule, threads, vectors

needs_mkl = pytest.mark.skipif(blas.library() is None, reason="MKL is not installed, or not chosen")
needs_threads = pytest.mark.skipif(not blas.has_threads(), reason="MKL's threads are not used here")

RNG = np.random.default_rng(0)


@pytest.fixture
def two_threads():
    before = threads.count()
    threads.set_count(2)
    yield
    threads.set_count(before)


def array(shape, dtype="float32"):
    return RNG.standard_normal(shape).astype(dtype)


def turned(shape, dtype):
    return array((*shape[:-2], shape[-1], shape[-2]), dtype).swapaxes(-1, -2)


def part(shape, dtype):
    return array((*shape[:-1], shape[-1] + 3), dtype)[..., 1:-2]


def backwards(shape, dtype):
    return array(shape, dtype)[..., ::-1]


def every_other(shape, dtype):
    return array((*shape[:-1], 2 * shape[-1]), dtype)[..., ::2]


def repeated(shape, dtype):
    return np.broadcast_to(array((*shape[:-2], 1, shape[-1]), dtype), shape)


FORMS = {f.__name__: f for f in (array, turned, part, backwards, every_other, repeated)}


def check(a, b, out):
    expected = a.astype("float64") @ b.astype("float64")
    blas.matmul(a, b, out)()
    scale = np.abs(a).astype("float64") @ np.abs(b).astype("float64")
    eps = 2.0**-22 if out.dtype == np.float32 else 2.0**-50
    assert (np.abs(out - expected) <= eps * scale).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("left", "right"), list(product(FORMS, FORMS)))
def test_a_product_of_any_strides_is_numpys(left, right, dtype):
    for m, n, k in ((5, 7, 4), (1, 6, 3), (6, 1, 3), (4, 5, 1), (1, 1, 9), (33, 17, 65)):
        a, b = FORMS[left]((m, k), dtype), FORMS[right]((k, n), dtype)
        for form in (array, turned, part, every_other):
            check(a, b, form((m, n), dtype))


@pytest.mark.parametrize("form", FORMS.values())
def test_a_stack_of_products_is_numpys(form):
    lead = (3, 2)
    for m, n, k in ((4, 5, 6), (1, 7, 3), (16, 1, 8)):
        check(form((*lead, m, k), "float32"), array((*lead, k, n)), array((*lead, m, n)))
        check(array((*lead, m, k)), form((*lead, k, n), "float32"), turned((*lead, m, n), "float32"))
    heads = array((2, 9, 3, 4)).transpose(0, 2, 1, 3)  # (batch, heads, time, size) of (batch, time, heads, size)
    check(heads, array((2, 3, 4, 5)), array((2, 9, 3, 5)).transpose(0, 2, 1, 3))
    check(array((2, 1, 4, 3)), array((1, 5, 3, 6)), array((2, 5, 4, 6)))
    check(array((2, 4, 3)), array((3, 6)), array((2, 4, 6)))


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0)])
def test_a_product_without_elements_is_numpys(shape):
    m, n, k = shape
    out = np.full((m, n), 7, "float32")
    blas.matmul(array((m, k)), array((k, n)), out)()
    assert (out == 0).all()


@pytest.mark.parametrize("dtype", ["int32", "float16"])
def test_a_product_of_other_dtypes_is_numpys(dtype):
    a, b = np.arange(6).reshape(2, 3).astype(dtype), np.arange(12).reshape(3, 4).astype(dtype)
    out = np.empty((2, 4), dtype)
    blas.matmul(a, b, out)()
    np.testing.assert_array_equal(out, a @ b)


def test_a_product_keeps_its_arrays_alive():
    def made():
        return blas.matmul(np.ones((300, 300), "float32"), np.ones((300, 300), "float32"), out)

    out = np.empty((300, 300), "float32")
    call = made()
    others = [np.zeros((300, 300), "float32") for _ in range(8)]
    call()
    assert (out == 300).all() and not any(a.any() for a in others)


@needs_threads
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_have_the_same_bits_on_any_number_of_threads_and_at_any_address(dtype, two_threads):
    rng = np.random.default_rng(1)

    def at(x, offset):
        room = np.empty(x.nbytes + 256, np.uint8)
        start = -room.ctypes.data % 64 + offset * x.itemsize
        y = room[start : start + x.nbytes].view(x.dtype).reshape(x.shape)
        y[...] = x
        return y

    for _ in range(60):
        m, n, k = (int(np.exp(rng.uniform(0, np.log(500)))) for _ in range(3))
        a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((n, k)).astype(dtype).T
        one, two, other = (np.empty((m, n), dtype) for _ in range(3))
        blas.library().set_own_threads(1)
        blas.matmul(at(a, 0), b, one)()
        blas.library().set_own_threads(0)
        blas.with_threads(blas.matmul(at(a, 1), b, two))
        stack = np.empty((3, m, n), dtype)
        blas.with_threads(blas.matmul(np.stack([a, a, a]), b, stack))
        np.testing.assert_array_equal(one, two)
        blas.matmul(at(a, 3), b, at(other, 1))()
        blas.matmul(at(a, 3), b, other)()
        np.testing.assert_array_equal(one, other)


FUNCTIONS = [*vectors._NAMES]


@needs_mkl
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_a_function_is_numpys_with_all_its_special_values(function, dtype):
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 1e38, -1e38, 88.8, -103.0, -104.0, 1.0, -1.0]
    x = np.concatenate([np.array(special, dtype), array(3 * vectors.LEAST, dtype)])
    operands = (x, np.roll(x, 5)) if function.nin == 2 else (x,)
    out = np.empty_like(x)
    call = vectors.apply(function, *operands, out=out)
    assert call.func is not function  # by MKL
    call()
    with np.errstate(all="ignore"):
        expected = function(*(v.astype("float64") for v in operands)).astype(dtype)
    np.testing.assert_allclose(out, expected, rtol=4e-7 if dtype == "float32" else 1e-15, atol=1e-44)


@needs_threads
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_a_function_has_the_same_bits_at_any_place_and_on_any_number_of_threads(function, two_threads):
    x = np.abs(array(200_000))
    operands = (x, np.roll(x, 5)) if function.nin == 2 else (x,)
    whole = np.empty_like(x)
    blas.with_threads(vectors.apply(function, *operands, out=whole))
    for start, size in ((0, 200_000), (1, 5000), (77, 2049), (13, 70_001)):
        out = np.empty(size, "float32")
        vectors.apply(function, *(v[start : start + size] for v in operands), out=out)()
        np.testing.assert_array_equal(out, whole[start : start + size])


@needs_threads
def test_scaled_sums_and_quotients_have_the_same_bits_on_any_number_of_threads(two_threads):
    x, y = array(200_003), np.abs(array(200_003))
    results = []
    for run in (lambda thunk: thunk(), blas.with_threads):
        total, ratio = y.copy(), np.empty_like(x)
        blas.library().set_own_threads(1)
        run(blas.combination(0.3, x, 0.7, total, total))
        run(vectors.quotient(x, y, 1e-7, ratio))
        results.append((total, ratio))
    blas.library().set_own_threads(0)
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(results[0][1], x / (y + np.float32(1e-7)), rtol=1e-6)


def test_a_short_function_a_view_or_another_dtype_is_left_to_numpy():
    x = array(2 * vectors.LEAST)
    for operand in (x[:100], x[::2], x.astype("float16")):
        assert vectors.apply(np.exp, operand, out=np.empty_like(operand)).func is np.exp


# -- which steps use MKL's threads -------------------------------------------------------------------------------------


@needs_threads
def test_a_short_step_of_products_goes_on_one_thread_with_mkls(two_threads):
    jobs = [schedule.Job(lambda: done.append(threads._pool.locked()), [], [], 500.0, product=True) for _ in range(2)]
    done = []
    site = type("Site", (), {"inputs": (), "outputs": (), "scratch": None})()
    launches = [(site, schedule.Jobs([job])) for job in jobs]
    ((step, numbers),) = schedule.arrange(launches)
    step()
    assert isinstance(step, schedule._Within) and numbers == [0, 1] and done == [True, True]
    long = [(site, schedule.Jobs([schedule.Job(lambda: None, [], [], schedule.LONG, product=True)]))]
    team = [*launches, (site, threads.team([lambda: None] * 2))]
    for others in (long, team):
        assert not any(isinstance(thunk, schedule._Within) for thunk, _ in schedule.arrange(others))


def test_steps_that_wait_for_processors_go_on_without_more_threads():
    step = schedule._Within(lambda: None)
    step.learn(0.001)
    assert not step.rest
    for pause in (1, 2, 4):
        step.learn(0.030)
        assert step.rest == pause * schedule.PAUSE
    for _ in range(step.rest):
        step()
    assert not step.rest
    step.learn(0.001)
    assert not step.rest and step.pause == 4 * schedule.PAUSE


@needs_threads
def test_while_another_thread_holds_the_pool_there_is_one_thread(two_threads, monkeypatch):
    chosen = []
    monkeypatch.setattr(blas.library(), "set_own_threads", chosen.append)
    blas.with_threads(lambda: None)
    inside = threading.Thread(target=blas.with_threads, args=(lambda: None,))
    with threads.alone():
        inside.start()
        inside.join()
    assert chosen == [2, 0, 1, 0]


# -- the choice --------------------------------------------------------------------------------------------------------


def python(code, **settings):
    env = {**os.environ, "KERAS_BACKEND": "numpy", **settings}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=120)


STEP = """
import numpy as np, kcore
kcore.utils.set_random_seed(0)
x, y = np.random.rand(512, 300).astype("float32"), np.random.rand(512, 40).astype("float32")
model = kcore.Sequential([kcore.Input((300,)), kcore.layers.Dense(300, "tanh"), kcore.layers.Dense(40)])
model.compile("adam", "mse")
def train():
    model.fit(x, y, batch_size=128, epochs=2, verbose=0, shuffle=False)
    return sum(float(np.abs(w).sum(dtype="float64")) for w in model.get_weights()).hex()
"""


def test_two_runs_of_one_script_agree_to_the_bit():
    one, two = (python(STEP + "print(train())") for _ in range(2))
    assert one.stdout == two.stdout and one.stdout.strip(), one.stderr


def test_numpy_may_be_chosen():
    code = STEP + "train(); from kcore_numpy import blas; print(blas.library(), blas.description())"
    answer = python(code, KCORE_BLAS="numpy")
    assert answer.stdout.startswith("None ") and "MKL" not in answer.stdout, answer.stderr


@needs_mkl
@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_mkl_is_loaded_by_the_first_kernel_and_not_before():
    code = (
        "import kcore; kcore.use_backend('numpy')\n"
        "maps = lambda: 'libmkl_rt' in open('/proc/self/maps').read()\n"
        "print(maps()); kcore.ops.matmul([[1.0]], [[2.0]]).numpy(); print(maps())"
    )
    answer = python(code)
    assert answer.stdout.split() == ["False", "True"], answer.stderr


@needs_threads
@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
@pytest.mark.parametrize("ready", ["TRUE", "FALSE"])  # scikit-learn turns it off, when it is imported
def test_a_forked_process_trains_as_its_parent_does(ready):
    code = STEP + (
        "import os\ntrain()\nread, write = os.pipe()\n"
        "if os.fork() == 0:\n    os.write(write, train().encode())\n    os._exit(0)\n"
        "os.wait()\nprint(os.read(read, 100).decode() == train())"
    )
    answer = python(code, KCORE_NUM_THREADS="2", KMP_INIT_AT_FORK=ready)
    assert answer.stdout.split() == ["True"], answer.stderr


def test_an_unknown_library_is_an_error(monkeypatch):
    monkeypatch.setenv(blas.SETTING, "mlk")
    with pytest.raises(ValueError, match=r"KCORE_BLAS is 'mlk'; expected numpy or mkl, or nothing"):
        blas.description()
    answer = python("import kcore; kcore.ops.ones(3)", KCORE_BLAS="mlk")
    assert "KCORE_BLAS is 'mlk'; expected numpy or mkl" in answer.stderr


def test_mkl_that_is_not_installed_is_an_error_with_what_to_type(monkeypatch):
    monkeypatch.setenv(blas.SETTING, "mkl")
    monkeypatch.setattr(mkl, "version", lambda: None)
    monkeypatch.setattr(mkl, "installable", lambda: True)
    with pytest.raises(
        ImportError, match=r"KCORE_BLAS is 'mkl', which is not installed: pip install .*kcore-numpy\[mkl"
    ):
        blas.description()
    monkeypatch.setattr(mkl, "installable", lambda: False)
    with pytest.raises(ImportError, match="there is none for this machine"):
        blas.library.__wrapped__()
    monkeypatch.delenv(blas.SETTING)
    assert blas.library.__wrapped__() is None


def test_the_device_says_what_computes_and_what_would_be_faster(monkeypatch):
    monkeypatch.delenv(blas.SETTING, raising=False)
    monkeypatch.setattr(mkl, "suits", lambda: True)
    monkeypatch.setattr(mkl, "installable", lambda: True)
    monkeypatch.setattr(mkl, "version", lambda: None)
    assert 'faster with MKL: pip install "kcore-numpy[mkl]"' in blas.description()
    monkeypatch.setattr(mkl, "version", lambda: "2026.2")
    assert blas.description() == "MKL 2026.2"
    monkeypatch.setattr(mkl, "suits", lambda: False)  # another maker's processor
    assert "MKL" not in blas.description()
    monkeypatch.setenv(blas.SETTING, "mkl")
    assert blas.description() == "MKL 2026.2"


@needs_mkl
def test_mkl_that_cannot_be_loaded_is_said_once_and_numpy_computes(monkeypatch):
    def broken():
        raise OSError("libmkl_rt.so.3: cannot open shared object file")

    monkeypatch.setattr(mkl, "Mkl", broken)
    monkeypatch.delenv(blas.SETTING, raising=False)
    with pytest.warns(UserWarning, match="MKL cannot be loaded, so products come from NumPy .*libmkl_rt"):
        assert blas.library.__wrapped__() is None
    monkeypatch.setenv(blas.SETTING, "mkl")
    with pytest.raises(ImportError, match="cannot be loaded: libmkl_rt"):
        blas.library.__wrapped__()


@needs_mkl
@pytest.mark.skipif(sys.platform != "linux", reason="the name of a library")
def test_beside_another_openmp_of_that_kind_mkl_has_no_threads(tmp_path):
    copy = tmp_path / "libiomp5.so"
    copy.write_bytes((mkl.find().parent / "libiomp5.so").read_bytes())
    code = f"import ctypes; ctypes.CDLL({str(copy)!r})\n" + STEP + "train()\nfrom kcore_numpy import blas\n"
    answer = python(code + "print(blas.library() is not None, blas.has_threads())")
    assert answer.stdout.split() == ["True", "False"], answer.stderr
