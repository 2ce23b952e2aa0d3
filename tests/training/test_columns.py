"""Arrays of other packages: data frames, sparse matrices, HDF5 data sets, tensors, maps of files."""

from __future__ import annotations

import tracemalloc

import h5py
import numpy as np
import pytest
import scipy.sparse

from kcore import callbacks, layers, ops, optimizers, set_random_seed
from kcore.models import Model, Sequential
from kcore.training.columns import Stored, array_of
from kcore.training.data import split, to_arrays
from kcore.training.sources.arrays import ArrayBatches

pandas = pytest.importorskip("pandas")


def linear(features=3, **compiled):
    model = Sequential([layers.Input((features,)), layers.Dense(1)])
    model.compile(**{"optimizer": optimizers.SGD(0.0), "loss": "mse", **compiled})
    return model


def values(source, part=0):
    iterator = source.batches()
    source.allow(None)
    found = [np.asarray(batch[part] if isinstance(batch, tuple) else batch) for batch in iterator]
    source.close()
    return found


X = np.arange(33, dtype="float64").reshape(11, 3)
Y = np.arange(11, dtype="int64") % 2


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as opened:
        opened["x"], opened["y"] = X, Y
        yield opened


class TestPandas:
    def test_a_frame_is_a_matrix_and_a_series_a_column(self):
        frame = pandas.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": [True, False]})
        assert array_of(frame, "x").tolist() == [[1.0, 0.5, 1.0], [2.0, 1.5, 0.0]]
        assert array_of(frame["a"], "y").tolist() == [[1], [2]] and array_of(frame["a"], "y").dtype == "int64"
        assert array_of(frame[["a", "c"]], "x").dtype == "int64"

    def test_missing_values_are_nan(self):
        column = pandas.array([1, None, 3], dtype="Int64")
        np.testing.assert_array_equal(array_of(pandas.DataFrame({"a": column}), "x"), [[1], [np.nan], [3]])
        whole = pandas.DataFrame({"a": pandas.array([1, 2], dtype="Int32")})
        assert array_of(whole, "x").dtype == "int32"

    def test_text_names_its_column(self):
        frame = pandas.DataFrame({"age": [1, 2], "town": ["Bern", "Basel"]})
        with pytest.raises(ValueError, match=r"x\['town'\] must hold numbers, but .* 'Bern'. Encode it as numbers"):
            linear(2).fit(frame, np.zeros(2))
        with pytest.raises(ValueError, match=r"y must hold numbers.*Encode it"):
            linear(1).fit(np.zeros((2, 1)), frame["town"])
        kinds = {"c": pandas.Categorical(["a", "b"]), "d": pandas.to_datetime(["2020-01-01", "2020-01-02"])}
        for name, column in kinds.items():
            with pytest.raises(ValueError, match=rf"x\['{name}'\] must hold numbers, but that column's dtype is"):
                array_of(pandas.DataFrame({name: column}), "x")

    def test_it_trains_as_arrays_do(self):
        model = linear()
        expected = model.evaluate(X, Y, verbose=0)
        frame = pandas.DataFrame(X, columns=list("abc"))
        assert model.evaluate(frame, pandas.Series(Y), verbose=0) == expected
        history = model.fit(frame, pandas.Series(Y), sample_weight=pandas.Series(np.ones(11)), verbose=0)
        assert history.history["loss"] == pytest.approx([expected])
        model.fit(frame, pandas.Series(Y), validation_split=0.3, verbose=0)

    def test_a_dict_of_columns_goes_to_inputs_by_name(self):
        a, b = layers.Input((1,), name="a"), layers.Input((1,), name="b")
        model = Model({"a": a, "b": b}, layers.Add()([a, b]))
        frame = pandas.DataFrame({"a": [1.0, 2.0], "b": [10.0, 20.0]})
        out = model.predict({name: frame[name] for name in frame}, verbose=0)
        assert out.tolist() == [[11.0], [22.0]]


class TestSparse:
    @pytest.mark.parametrize("kind", ["csr_matrix", "coo_array", "csc_array"])
    def test_batches_are_dense(self, kind):
        matrix = getattr(scipy.sparse, kind)(X)
        assert isinstance(array_of(matrix, "x"), Stored)
        np.testing.assert_array_equal(np.concatenate(values(ArrayBatches(matrix, batch_size=4))), X.astype("float32"))

    def test_it_trains_as_the_dense_one(self):
        matrix, losses = scipy.sparse.random(50, 20, 0.2, "csr", random_state=0), []
        for x in (matrix, matrix.toarray()):
            set_random_seed(0)
            losses.append(linear(20, optimizer="sgd").fit(x, np.ones(50), batch_size=8, epochs=2, verbose=0).history)
        assert losses[0] == losses[1]


class TestHdf5:
    @pytest.mark.parametrize("shuffle", [False, True, "batch"])
    def test_batches_are_those_of_the_array_in_memory(self, file, shuffle):
        found = []
        for x, y in ((X, Y), (file["x"], file["y"])):
            set_random_seed(0)
            source = ArrayBatches(x, y, batch_size=4, shuffle=shuffle)
            found.append([np.concatenate(values(source, part)) for part in (0, 1)])
        np.testing.assert_array_equal(found[0][0], found[1][0])
        np.testing.assert_array_equal(found[0][1], found[1][1])

    def test_it_trains_as_the_array_in_memory(self, file):
        histories = []
        for x, y in ((X, Y), (file["x"], file["y"])):
            set_random_seed(0)
            model = linear(optimizer=optimizers.SGD(1e-4))
            options = {"class_weight": {1: 3.0}, "validation_split": 0.3, "epochs": 2, "batch_size": 4, "verbose": 0}
            histories.append(model.fit(x, y, **options).history)
        assert histories[0] == histories[1]

    def test_only_what_is_wanted_is_read(self, tmp_path):
        with h5py.File(tmp_path / "big.h5", "w") as file:
            x = file.create_dataset("x", (4000, 1000), "float32", chunks=(10, 1000), fillvalue=1.0)
            model = linear(1000)
            model.predict(x, steps=1, batch_size=10, verbose=0)
            tracemalloc.start()
            model.fit(x, np.zeros(4000), batch_size=20, steps_per_epoch=20, shuffle="batch", verbose=0)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < x_bytes(4000) / 8, f"{peak} bytes for a data set of {x_bytes(4000)}"

    def test_the_split_reads_nothing(self, file):
        (train, *_), (tail, *_) = split(file["x"], None, None, 0.25)
        assert isinstance(tail, Stored) and train.shape == (8, 3)
        np.testing.assert_array_equal(tail.read(np.array([2, 0])), X[[10, 8]])

    def test_labels_out_of_range_are_found(self, file):
        model = Sequential([layers.Input((3,)), layers.Dense(1, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        with pytest.raises(ValueError, match="argument 'y' holds 1 in row 1"):
            model.fit(file["x"], file["y"], shuffle=False, verbose=0)

    def test_a_file_closed_in_mid_run_is_named(self, file):
        class Close(callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                file.close()

        with pytest.raises(ValueError, match=r"x cannot be read: the HDF5 file of data set '/x' of '.*data.h5' was cl"):
            linear().fit(file["x"], Y, batch_size=1, verbose=0, callbacks=[Close()])

    def test_a_closed_file_and_a_group_are_refused(self, file):
        with pytest.raises(TypeError, match="x is an h5py File, expected one of its data sets: 'x', 'y'"):
            linear().fit(file, Y)
        dataset = file["x"]
        file.close()
        with pytest.raises(ValueError, match="x cannot be read: its HDF5 file is closed"):
            linear().fit(dataset, Y)

    def test_text_is_refused(self, file):
        file["names"] = ["a", "b"]
        with pytest.raises(ValueError, match="x must hold numbers"):
            linear().fit(file["names"], np.zeros(2))


def x_bytes(rows):
    return rows * 1000 * 4


def test_a_memory_map_is_not_copied(tmp_path):
    mapped = np.memmap(tmp_path / "x", "float32", "w+", shape=(11, 3))
    mapped[:] = X
    array = to_arrays(mapped, "x")
    assert type(array) is np.ndarray and np.shares_memory(array, mapped)
    assert linear().evaluate(mapped, Y, verbose=0) > 0


def test_tensors_of_kcore_and_of_dlpack_are_arrays():
    tensor = ops.convert_to_tensor(X.astype("float32"))
    np.testing.assert_array_equal(to_arrays(tensor, "x"), X)

    class Capsule:
        def __dlpack__(self, **options):
            return X.__dlpack__(**options)

        def __dlpack_device__(self):
            return X.__dlpack_device__()

    np.testing.assert_array_equal(to_arrays({"a": Capsule()}, "x")["a"], X)


def test_jax_arrays_are_arrays():
    jax = pytest.importorskip("jax.numpy")
    model = linear()
    assert model.predict(jax.asarray(X, "float32"), verbose=0).shape == (11, 1)


def test_torch_tensors_are_detached_and_widened():
    class Tensor:
        """What torch.Tensor shows of itself, where torch is not installed."""

        dtype = "torch.bfloat16"

        def detach(self):
            return self

        cpu = detach

        def float(self):
            return np.ones((2, 3), "float32").view(_WithNumpy)

        def __array__(self, *args):
            raise RuntimeError("Can't call numpy() on Tensor that requires grad")

    class _WithNumpy(np.ndarray):
        def numpy(self):
            return np.asarray(self)

    Tensor.__module__ = "torch"
    assert array_of(Tensor(), "x").tolist() == [[1.0] * 3] * 2


def test_dates_are_refused():
    with pytest.raises(ValueError, match="x must hold numbers, but its dtype is datetime64.* \\(dates"):
        to_arrays(np.array(["2020-01-01"], "datetime64[D]"), "x")
