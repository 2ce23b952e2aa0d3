"""Data sets that lie on a device: their batches are gathered there, and come to the host nowhere."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import ops
from kcore.backend.batch import Rows
from kcore.backend.resident import Resident
from kcore.testing import skip_if_no_backend
from kcore.training.data import split
from kcore.training.sources.arrays import ArrayBatches

pytestmark = skip_if_no_backend("opencl")
COUNT, FEATURES = 21, 6


@pytest.fixture
def opencl():
    before = kcore.backend.current()
    yield kcore.use_backend("opencl").backend
    kcore.use_backend(str(before))


@pytest.fixture
def watched(opencl, monkeypatch):
    """Bytes that go up and down, one number for each transfer."""
    moved = {"up": [], "down": []}
    upload, download, gather = opencl.upload, opencl.download, opencl.gather
    monkeypatch.setattr(opencl, "upload", lambda a, v: (moved["up"].append(a.nbytes), upload(a, v))[1])
    monkeypatch.setattr(opencl, "gather", lambda a, r: (moved["up"].append(a.nbytes), gather(a, r))[1])
    monkeypatch.setattr(opencl, "download", lambda a: (moved["down"].append(a.nbytes), download(a))[1])
    return moved


def data(dtype="float32"):
    rng = np.random.default_rng(0)
    return rng.normal(size=(COUNT, FEATURES)).astype(dtype), rng.integers(0, 3, COUNT)


def model():
    kcore.set_random_seed(3)
    layers = kcore.layers
    made = kcore.Sequential([kcore.Input((FEATURES,)), layers.Dense(5, activation="relu"), layers.Dense(3)])
    made.compile("sgd", kcore.losses.SparseCategoricalCrossentropy(from_logits=True))
    return made


@pytest.mark.parametrize("options", [
    {"shuffle": False}, {"shuffle": True}, {"shuffle": "batch"}, {"validation_split": 0.3}, {"steps_per_epoch": 3},
])  # fmt: skip
def test_training_is_that_of_arrays_on_the_host(opencl, options):
    x, y = data()
    histories = []
    for given in ((x, y), (ops.convert_to_tensor(x), ops.convert_to_tensor(y))):
        trained = model()
        histories.append(trained.fit(*given, batch_size=4, epochs=2, verbose=0, **options).history)
        histories[-1]["evaluated"] = trained.evaluate(*given, verbose=0)
        histories[-1]["predicted"] = trained.predict(given[0], batch_size=5, verbose=0)
    for name, wanted in histories[0].items():
        np.testing.assert_array_equal(histories[1][name], wanted, err_msg=name)


def test_no_batch_passes_the_host(watched):
    x, y = data()
    x, y = ops.convert_to_tensor(np.tile(x, (40, 1))), ops.convert_to_tensor(np.tile(y, 40))
    trained = model()
    trained.fit(x, y, batch_size=40, verbose=0)
    watched["up"].clear(), watched["down"].clear()
    trained.fit(x, y, batch_size=40, epochs=2, validation_split=0.5, verbose=0)
    indices = 40 * 4
    batch = 40 * FEATURES * 4
    assert max(watched["up"]) <= indices < batch
    assert max(watched["down"]) <= 8, "sums of the loss; the smallest and largest label"
    assert watched["up"].count(indices) >= 2 * 2 * 10, "the row numbers of x and y, for every batch but the last"


def test_another_dtype_is_cast_on_the_device_once(watched):
    x, y = data("float64")
    source = ArrayBatches(ops.convert_to_tensor(x), ops.convert_to_tensor(y), batch_size=4)
    leaf = source.first()[0].array
    assert isinstance(leaf, Resident)
    assert leaf.dtype == np.float32
    assert not watched["down"]
    np.testing.assert_array_equal(leaf.numpy(), x.astype("float32"))


def test_parts_lie_over_the_same_memory(opencl):
    x, y = (ops.convert_to_tensor(a) for a in data())
    (train, _, _), (tail, labels, _) = split(x, y, None, 0.25)
    assert train.data.block is tail.data.block is x.data.block
    assert (len(train), len(tail), labels.shape) == (15, 6, (6,))
    np.testing.assert_array_equal(tail.numpy(), x.numpy()[15:])
    np.testing.assert_array_equal(np.asarray(tail[2:4]), x.numpy()[17:19])
    np.testing.assert_array_equal(np.asarray(tail, "float64"), x.numpy()[15:])


def test_rows_can_be_had_on_the_host_and_as_tensors(opencl):
    x = data()[0]
    source = Resident(ops.convert_to_tensor(x).data, "float32", opencl, kcore.backend.current().device)
    for rows in (slice(2, 7), np.array([3, 0, 20]), np.array([], "int64")):
        batch = Rows(source, rows)
        np.testing.assert_array_equal(batch.gather(), x[rows])
        tensor = ops.convert_to_tensor(batch)
        np.testing.assert_array_equal(tensor.numpy(), x[rows])
        assert str(ops.convert_to_tensor(batch, "float64").dtype) == "float64"
    kcore.use_backend("numpy")
    np.testing.assert_array_equal(ops.convert_to_tensor(Rows(source, slice(1, 3))).numpy(), x[1:3])


def test_many_sizes_of_batches_keep_few_kernels(opencl):
    x = data()[0]
    source = Resident(ops.convert_to_tensor(x).data, "float32", opencl, kcore.backend.current().device)
    for count in range(1, 12):
        np.testing.assert_array_equal(source.read(np.arange(count)[::-1]), x[:count][::-1])
    assert len(source._gathers) <= 4


def test_labels_out_of_range_are_named(opencl):
    x, y = data()
    y[13] = 7
    with pytest.raises(ValueError, match=r"holds 7 in row 13, but loss .* takes classes 0 to 2"):
        model().fit(ops.convert_to_tensor(x), ops.convert_to_tensor(y), batch_size=4, verbose=0)


def test_class_weights_and_custom_steps(opencl):
    x, y = data()

    class Own(kcore.Model):
        def __init__(self):
            super().__init__()
            self.dense = kcore.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            return super().train_step(data)

    histories = []
    for given in ((x, y), (ops.convert_to_tensor(x), ops.convert_to_tensor(y))):
        kcore.set_random_seed(1)
        made = Own()
        made.compile("sgd", kcore.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
        histories.append(made.fit(*given, batch_size=7, class_weight={0: 2.0}, verbose=0).history["loss"])
    np.testing.assert_allclose(histories[0], histories[1], rtol=1e-6)
