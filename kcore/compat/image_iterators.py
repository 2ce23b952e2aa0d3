"""Batches of images without end, by number or one after the other: the iterators of `ImageDataGenerator`."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from kcore.config import floatx, image_data_format
from kcore.errors import warn_user
from kcore.utils import PyDataset, array_to_img


class Iterator(PyDataset):
    """Batches by number, as any `PyDataset` has them, and without end where they are asked for one after the other.

    A subclass writes ``_get_batches_of_transformed_samples(index_array)``, which returns the batch of these samples.

    With a seed, every batch first seeds NumPy's global generator with the seed and the number of batches seen, as Keras
    does: two iterators with one seed transform images and their masks alike. Several workers share that generator, and
    take turns in no fixed order.

    Args:
        n: number of samples.
        batch_size: samples in a batch, of which the last one of a pass may have fewer.
        shuffle: whether the order of the samples is another one in every pass.
        seed: of order and transformations; None draws from NumPy's global generator as it stands.
        **kwargs: `workers`, `use_multiprocessing` and `max_queue_size`, see `PyDataset`.

    Attributes:
        n, batch_size, shuffle, seed: as given.
        batch_index: number of the next batch of `next`.
        total_batches_seen: batches made so far.
        index_array: the order of the samples.
        lock: held while `next` finds out which samples are next.

    Source: `keras.preprocessing.image.Iterator` (Keras 2).
    """

    #: An epoch that wants more batches than a pass has goes on with the next pass.
    repeats = True

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int | None, **kwargs: Any):
        super().__init__(**kwargs)
        self.n, self.batch_size, self.shuffle, self.seed = n, batch_size, shuffle, seed
        self.batch_index = self.total_batches_seen = 0
        self.index_array: np.ndarray | None = None
        self.lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        if self.index_array is None:  # copies in several processes must have one order
            self._set_index_array()
        return {name: value for name, value in vars(self).items() if name != "lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.lock = threading.Lock()

    def _set_index_array(self) -> None:
        self.index_array = np.random.permutation(self.n) if self.shuffle else np.arange(self.n)

    def _seeded(self) -> None:
        if self.seed is not None:
            np.random.seed(self.seed + self.total_batches_seen)
        self.total_batches_seen += 1

    def __len__(self) -> int:
        """Batches in a pass."""
        return -(-self.n // self.batch_size)

    def __getitem__(self, idx: int) -> Any:
        """The batch of one number, from 0 to ``len(self) - 1``.

        Raises:
            IndexError: there is no such batch.
        """
        if not 0 <= idx < len(self):
            raise IndexError(f"{type(self).__name__} has batches 0 to {len(self) - 1}, not {idx}")
        with self.lock:
            self._seeded()
            if self.index_array is None:
                self._set_index_array()
            assert self.index_array is not None
            chosen = self.index_array[self.batch_size * idx : self.batch_size * (idx + 1)]
        return self._get_batches_of_transformed_samples(chosen)

    def __iter__(self) -> Iterator:
        return self

    def __next__(self) -> Any:
        return self.next()

    def next(self) -> Any:
        """The next batch, without end."""
        with self.lock:
            chosen = next(self.index_generator)
        return self._get_batches_of_transformed_samples(chosen)

    @property
    def index_generator(self) -> Generator[np.ndarray]:
        """The samples of the next batches; to be asked while `lock` is held."""
        while True:
            self._seeded()
            if self.batch_index == 0 or self.index_array is None:
                self._set_index_array()
            assert self.index_array is not None
            start = self.batch_index * self.batch_size
            self.batch_index = 0 if start + self.batch_size >= self.n else self.batch_index + 1
            yield self.index_array[start : start + self.batch_size]

    def reset(self) -> None:
        """Let `next` begin a new pass."""
        self.batch_index = 0

    def on_epoch_end(self) -> None:
        """Put the samples in a new order."""
        self._set_index_array()

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no _get_batches_of_transformed_samples(index_array)")


class TransformedImages(Iterator):
    """What the iterators over images share: transforming them, and keeping pictures of that.

    Args:
        n, batch_size, shuffle, seed: as for `Iterator`.
        generator: transforms the images; None leaves them as they are.
        data_format: "channels_last" or "channels_first"; None for that of keras.json.
        dtype: of the batches; None for floatx.
        save_to_dir: folder for pictures of what the batches hold, None for none.
        save_prefix: of the pictures' names.
        save_format: "png", "jpeg", ...
    """

    def __init__(
        self,
        n: int,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        generator: Any,
        data_format: str | None,
        dtype: str | None,
        save_to_dir: str | None,
        save_prefix: str,
        save_format: str,
    ):
        super().__init__(n, batch_size, shuffle, seed)
        self.image_data_generator = generator
        self.data_format, self.dtype = data_format or image_data_format(), dtype or floatx()
        self.save_to_dir, self.save_prefix, self.save_format = save_to_dir, save_prefix, save_format

    def _transformed(self, images: np.ndarray) -> np.ndarray:
        return images if self.image_data_generator is None else self.image_data_generator.transform_batch(images)

    def _saved(self, images: np.ndarray, index_array: np.ndarray, names: int) -> None:
        if not self.save_to_dir:
            return
        for image, i in zip(images, index_array, strict=True):
            name = f"{self.save_prefix}_{i}_{np.random.randint(names)}.{self.save_format}"
            array_to_img(image, self.data_format, scale=True).save(os.path.join(self.save_to_dir, name))


def part_of(subset: str | None, validation_split: float | None) -> tuple[float, float] | None:
    """From which share of the samples to which a subset goes; None for all.

    Raises:
        ValueError: an unknown subset, or no split to take it from.
    """
    if subset is None:
        return None
    if subset not in ("training", "validation"):
        raise ValueError(f"subset is 'training' or 'validation', received {subset!r}")
    if not validation_split:
        raise ValueError(f"subset={subset!r} needs an ImageDataGenerator with a validation_split above 0")
    return (0, validation_split) if subset == "validation" else (validation_split, 1)


class NumpyArrayIterator(TransformedImages):
    """Batches of images that are arrays; `ImageDataGenerator.flow` makes it.

    Args:
        x: (samples, rows, columns, channels), or with the channels second; or a tuple of that and what goes with each
            image, an array or a list of arrays, which is handed on as it is.
        y: a target per sample, or None.
        image_data_generator: transforms the images.
        batch_size, shuffle, seed: as for `Iterator`.
        sample_weight: a weight per sample, or None.
        data_format, save_to_dir, save_prefix, save_format: as for `ImageDataGenerator.flow`.
        subset: "training" or "validation": the last samples, or the first, by the generator's `validation_split`.
        ignore_class_split: whether the two may have different targets.
        dtype: of the images; None for floatx.

    Raises:
        ValueError: arrays of different lengths or no images, a subset without a split or with targets of its own.

    Source: `keras.preprocessing.image.NumpyArrayIterator` (Keras 2).
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        image_data_generator: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        sample_weight: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        ignore_class_split: bool = False,
        dtype: str | None = None,
    ):
        images, more = (x[0], x[1] if isinstance(x[1], list) else [x[1]]) if isinstance(x, (tuple, list)) else (x, [])
        parts = [("x", images), *((f"x[1][{i}]", other) for i, other in enumerate(more))]
        parts += [(name, part) for name, part in (("y", y), ("sample_weight", sample_weight)) if part is not None]
        arrays = {name: np.asarray(part) for name, part in parts}
        if len({len(array) for array in arrays.values()}) > 1:
            shapes = ", ".join(f"{name} has shape {array.shape}" for name, array in arrays.items())
            raise ValueError(f"all arrays must have one entry per image: {shapes}")
        count = len(arrays["x"])
        share = part_of(subset, getattr(image_data_generator, "validation_split", None))
        if share is not None:
            at = int(count * image_data_generator.validation_split)
            targets = arrays.get("y")
            if targets is not None and not ignore_class_split:
                _check_split(targets[:at], targets[at:])
            chosen = slice(0, at) if subset == "validation" else slice(at, count)
            arrays = {name: array[chosen] for name, array in arrays.items()}
        self.x = arrays.pop("x").astype(dtype or floatx())
        self.y, self.sample_weight = arrays.pop("y", None), arrays.pop("sample_weight", None)
        self.x_misc = list(arrays.values())
        if self.x.ndim != 4:
            raise ValueError(f"x is a batch of images, of four axes; received shape {self.x.shape}")
        super().__init__(
            len(self.x),
            batch_size,
            shuffle,
            seed,
            image_data_generator,
            data_format,
            dtype,
            save_to_dir,
            save_prefix,
            save_format,
        )
        check_channels(self.x.shape, self.data_format)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        images = self._transformed(self.x[index_array])
        self._saved(images, index_array, 10**4)
        inputs = [images, *(other[index_array] for other in self.x_misc)] if self.x_misc else images
        if self.y is None:
            return inputs
        if self.sample_weight is None:
            return inputs, self.y[index_array]
        return inputs, self.y[index_array], self.sample_weight[index_array]


def check_channels(shape: Sequence[int], data_format: str) -> None:
    """Warn of numbers of channels that images do not have."""
    axis = 3 if data_format == "channels_last" else 1
    if shape[axis] not in (1, 3, 4):
        warn_user(f"images of shape {tuple(shape)} have {shape[axis]} channels on axis {axis}, as {data_format} has it")


def _check_split(validation: np.ndarray, training: np.ndarray) -> None:
    if not np.array_equal(np.unique(validation), np.unique(training)):
        raise ValueError(
            "the first samples, which the subset 'validation' takes, have other targets than the rest, of 'training': "
            "shuffle x and y together before, or pass ignore_class_split=True"
        )
