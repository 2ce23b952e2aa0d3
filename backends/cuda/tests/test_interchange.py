"""CuPy, torch and kcore share the GPU's memory: nothing goes through the host, and nobody reads too early."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import kcore
from kcore import ops
from kcore.runtime.interchange import on_device


class Array:
    """An array of another package in the GPU's memory."""

    def __init__(self, fake, values, stream=None, strides=None, offset=0):
        values = np.ascontiguousarray(values)
        self.ptr = fake.reserve(values.nbytes + offset) + offset
        fake.move(self.ptr, values.ctypes.data, values.nbytes)
        self.shape, self.dtype, self.strides, self.stream = values.shape, values.dtype, strides, stream

    @property
    def __cuda_array_interface__(self):
        return {
            "shape": self.shape, "typestr": self.dtype.str, "data": (self.ptr, False), "strides": self.strides,
            "version": 3, "stream": self.stream,
        }  # fmt: skip

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("it was copied to the host")


@pytest.fixture
def stream(machine):
    """A stream of the other package's own."""
    return machine.runtime.streamCreateWithFlags(machine.runtime.streamDefault)


X = np.random.default_rng(1).normal(size=(8, 6)).astype("float32")


def test_a_batch_on_the_gpu_is_not_copied_to_the_host(computing, stream):
    step = kcore.function(lambda x: ops.tanh(x) * 2.0)
    there = Array(computing, X, stream)
    np.testing.assert_allclose(step(there).numpy(), np.tanh(X) * 2, rtol=1e-5)


def test_training_takes_batches_where_they_lie(computing, stream):
    def net():
        kcore.set_random_seed(1)
        model = kcore.Sequential([kcore.Input((6,)), kcore.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    y = np.ones((8, 1), "float32")
    wanted = net().train_on_batch(X, y)
    assert net().train_on_batch(Array(computing, X, stream), Array(computing, y, stream)) == pytest.approx(wanted)
    batches = [(Array(computing, X, stream), Array(computing, y, stream)) for _ in range(3)]
    mine = net().fit(iter(batches), verbose=0).history["loss"]
    assert mine == pytest.approx(net().fit(iter([(X, y)] * 3), verbose=0).history["loss"])


def test_what_the_other_stream_still_computes_is_waited_for_and_what_it_does_next_waits(computing, stream):
    there = Array(computing, np.zeros((8, 6), "float32"), stream)
    computing.submit(stream, lambda: computing.move(there.ptr, X.ctypes.data, X.nbytes))  # not over yet
    tensor = ops.convert_to_tensor(there)
    nothing = np.zeros_like(X)
    computing.submit(stream, lambda: computing.move(there.ptr, nothing.ctypes.data, nothing.nbytes))
    computing.drain(stream)
    np.testing.assert_array_equal(tensor.numpy(), X)


def test_a_tensor_is_a_copy_and_an_adopted_array_is_not(machine, stream):
    there = Array(machine, X, stream)
    assert on_device(there).data.ptr == there.ptr
    assert ops.convert_to_tensor(there).data.ptr != there.ptr


@pytest.mark.parametrize("options", [{"strides": (4, 32)}, {"offset": 4}])
def test_what_kernels_cannot_read_where_it_lies_is_not_adopted(machine, options):
    assert on_device(Array(machine, X, **options)) is None


@pytest.mark.parametrize("values", [np.zeros((0, 3), "float32"), np.zeros(3, "complex64")])
def test_nothing_and_what_kcore_has_no_dtype_for_are_not_adopted(machine, values):
    assert on_device(Array(machine, values)) is None


def test_what_lies_on_another_gpu_is_not_adopted(machine, monkeypatch):
    there = Array(machine, X)
    monkeypatch.setitem(machine.elsewhere, there.ptr, 1)
    assert on_device(there) is None


def test_a_tensor_hands_out_its_memory(machine, here):
    tensor = ops.convert_to_tensor(X)
    interface = tensor.__cuda_array_interface__
    assert interface["shape"] == (8, 6) and interface["typestr"] == "<f4" and interface["version"] == 3
    assert interface["data"] == (tensor.data.ptr, False) and interface["stream"] == here.stream
    assert tensor.__dlpack_device__() == (2, 0)
    array, options = tensor.__dlpack__(stream=7)
    assert options == {"stream": 7} and array.shape == (8, 6) and array.dtype == np.float32
    assert array.data.ptr == tensor.data.ptr and array.data.mem.device_id == 0


def test_handed_out_memory_is_not_used_again_while_somebody_has_it(machine):
    tensor = ops.convert_to_tensor(X)
    block = weakref.ref(tensor.data.block)
    array, _ = tensor.__dlpack__()
    del tensor
    gc.collect()
    assert block() is not None
    del array
    gc.collect()
    assert block() is None


def test_bfloat16_goes_by_dlpack_alone(machine):
    tensor = ops.cast(ops.convert_to_tensor(X), "bfloat16")
    assert not hasattr(tensor, "__cuda_array_interface__") and tensor.__dlpack_device__() == (2, 0)


@pytest.fixture
def host_copies(machine, monkeypatch):
    """Bytes of each copy from the host and to it."""
    moved = {1: [], 2: [], 3: []}
    copy = machine.runtime.memcpyAsync

    def watched(dst, src, size, kind, stream):
        moved[kind].append(size)
        return copy(dst, src, size, kind, stream)

    monkeypatch.setattr(machine.runtime, "memcpyAsync", watched)
    return {"up": moved[1], "down": moved[2], "within": moved[3]}


@pytest.mark.parametrize("own_stream", [True, False])
@pytest.mark.parametrize("options", [{"shuffle": False}, {"shuffle": True, "validation_split": 0.25}])
def test_a_data_set_on_the_gpu_is_gathered_there(computing, stream, host_copies, options, own_stream):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(26, 300)).astype("float32"), rng.integers(0, 3, 26)

    def net():
        kcore.set_random_seed(1)
        model = kcore.Sequential([kcore.Input((300,)), kcore.layers.Dense(3)])
        model.compile("sgd", kcore.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    wanted = net().fit(x, y, batch_size=4, epochs=2, verbose=0, **options).history
    there = [Array(computing, a, stream if own_stream else None) for a in (x, y)]
    model = net()
    host_copies["up"].clear(), host_copies["down"].clear()
    mine = model.fit(*there, batch_size=4, epochs=2, verbose=0, **options).history
    assert mine == {name: pytest.approx(values, rel=1e-5) for name, values in wanted.items()}
    assert max(host_copies["up"], default=0) < 300 * 4, "row numbers, no batch"
    assert max(host_copies["down"]) <= 8
    again = model.evaluate(*there, verbose=0)
    assert again == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-5)


def test_a_data_set_of_another_dtype_is_cast_on_the_gpu(computing, stream, host_copies):
    from kcore.training.sources.arrays import ArrayBatches

    x = np.random.default_rng(0).normal(size=(9, 40))
    source = ArrayBatches(Array(computing, x, stream), batch_size=4)
    assert not host_copies["down"] and not host_copies["up"]
    (first, *_) = (np.asarray(b) for b in source.batches())
    np.testing.assert_array_equal(first, x[:4].astype("float32"))


class Torch(Array):
    """A tensor of torch: its interface tells no stream, and nothing at all while gradients are wanted of it."""

    requires_grad = False

    @property
    def __cuda_array_interface__(self):
        if self.requires_grad:
            raise RuntimeError("Can't get __cuda_array_interface__ on Variable that requires grad")
        interface = super().__cuda_array_interface__
        del interface["stream"]
        return interface | {"version": 2}

    def detach(self):
        self.requires_grad = False
        return self

    def __dlpack_device__(self):
        return 2, 0


@pytest.fixture
def torch(monkeypatch, stream):
    """torch, whose current stream is not CUDA's default one."""
    from types import SimpleNamespace

    asked = []

    def current_stream(ordinal):
        asked.append(ordinal)
        return SimpleNamespace(cuda_stream=stream)

    module = SimpleNamespace(Tensor=Torch, cuda=SimpleNamespace(current_stream=current_stream), asked=asked)
    monkeypatch.setitem(__import__("sys").modules, "torch", module)
    return module


def test_the_stream_torch_works_on_waits_for_what_kcore_reads_and_is_waited_for(computing, torch, stream):
    there = Torch(computing, np.zeros((8, 6), "float32"))
    computing.submit(stream, lambda: computing.move(there.ptr, X.ctypes.data, X.nbytes))  # not over yet
    tensor = ops.convert_to_tensor(there)
    nothing = np.zeros_like(X)
    computing.submit(stream, lambda: computing.move(there.ptr, nothing.ctypes.data, nothing.nbytes))
    computing.drain(stream)
    np.testing.assert_array_equal(tensor.numpy(), X)
    assert torch.asked == [0]


def test_a_tensor_of_torch_that_wants_gradients_is_taken_without_them(machine, torch):
    there = Torch(machine, X)
    there.requires_grad = True
    assert on_device(there).data.ptr == there.ptr


def test_bfloat16_of_torch_comes_by_dlpack(machine, torch, monkeypatch):
    import ml_dtypes

    from kcore_cuda import cuda

    there = Torch(machine, X.astype(ml_dtypes.bfloat16))
    monkeypatch.setattr(cuda, "from_dlpack", lambda values: values, raising=False)
    tensor = on_device(there)
    assert (tensor.dtype, tensor.data.ptr) == ("bfloat16", there.ptr)

    def refuse(values):
        raise BufferError("a dtype it does not know")

    monkeypatch.setattr(cuda, "from_dlpack", refuse, raising=False)
    assert on_device(there) is None
