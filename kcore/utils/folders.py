"""Data sets of files in folders: images, texts and sounds with the names of their folders as labels."""

from __future__ import annotations

import os
import wave
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kcore import config
from kcore.extras import require
from kcore.ops.image.resizing import resize_weights
from kcore.runtime.seeds import host_integers, host_permutation
from kcore.utils.images import MODES, in_mode

#: What the names of files end with.
IMAGES, TEXTS, SOUNDS = (".bmp", ".gif", ".jpeg", ".jpg", ".png"), (".txt",), (".wav",)


class FolderDataset:
    """Batches of files, read when they are asked for; an iterable of known length that starts anew each time.

    Attributes:
        class_names: the names of the classes in the order of their numbers; None without labels.
        file_paths: the files, in the order of a pass that is not shuffled.
    """

    def __init__(
        self,
        file_paths: Sequence[str],
        labels: np.ndarray | None,
        class_names: list[str] | None,
        read: Callable[[str], Any],
        join: Callable[[list[Any]], Any],
        batch_size: int | None,
        shuffle: bool,
        seed: int,
    ):
        self.file_paths, self.class_names = list(file_paths), class_names
        self._labels, self._read, self._join = labels, read, join
        self._batch_size, self._shuffle, self._seed = batch_size, shuffle, seed
        self._passes = 0
        self._functions: tuple[Callable[..., Any], ...] = ()

    def __len__(self) -> int:
        """Number of batches, or of files where they are not batched."""
        return -(-len(self.file_paths) // (self._batch_size or 1))

    def map(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> FolderDataset:
        """The same data set with a function applied to every batch, such as a layer that is no part of the model.

        Args:
            function: takes ``x``, or ``x, y`` where there are labels, and returns what is to be in their place.
            *args, **kwargs: are ignored; ``tf.data`` has such.
        """
        mapped = FolderDataset.__new__(FolderDataset)
        mapped.__dict__.update(self.__dict__)
        mapped._functions = (*self._functions, function)
        return mapped

    def __iter__(self) -> Iterator[Any]:
        order = np.arange(len(self.file_paths))
        if self._shuffle:
            order = host_permutation(len(order), (self._seed, self._passes))
            self._passes += 1
        for at in range(0, len(order), self._batch_size or 1):
            chosen = order[at : at + (self._batch_size or 1)]
            read = [self._read(self.file_paths[i]) for i in chosen]
            x = self._join(read) if self._batch_size else read[0]
            batch: Any = x
            if self._labels is not None:
                batch = (x, self._labels[chosen] if self._batch_size else self._labels[chosen[0]])
            for function in self._functions:
                batch = function(*batch) if isinstance(batch, tuple) else function(batch)
            yield batch


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: Any = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Batches of the images in a folder, for `fit`, `evaluate` and `predict`.

    Args:
        directory: a folder with a folder of images for each class, or, with other `labels`, of images.
        labels: ``"inferred"``: the folders' names; None; or a list of integers, one for each file in order of their
            names.
        label_mode: ``"int"``: ``(batch,)``; ``"categorical"``: ``(batch, classes)``, one-hot; ``"binary"``: ``(batch,
            1)`` of 0 and 1; None for images alone.
        class_names: the folders that are looked at, in the order of the classes; all, by name, if None.
        color_mode: ``"rgb"``, ``"rgba"`` or ``"grayscale"``.
        batch_size: images in a batch; None for single images.
        image_size: height and width to which images are resized.
        shuffle: whether files come in another order, a new one each time.
        seed: of that order.
        validation_split: the part of the files that is kept for validation.
        subset: ``"training"``, ``"validation"`` or ``"both"``: which part is returned; both as a list of two.
        interpolation: ``"bilinear"``, ``"nearest"``, ``"bicubic"``, ``"lanczos3"`` or ``"lanczos5"``.
        follow_links: whether folders that are links are looked into.
        crop_to_aspect_ratio: whether the middle is cut out in the ratio of `image_size` first.
        pad_to_aspect_ratio: whether images are resized to fit into `image_size`, and padded with zeros.
        data_format: ``"channels_last"`` or ``"channels_first"``; `kcore.config.image_data_format()` if None.
        format: has no effect: what is returned is no data set of another library.
        verbose: whether the number of files is said.

    Returns:
        A `FolderDataset` of ``(images, labels)`` or ``images``: float32 ``(batch, height, width, channels)`` from 0 to
        255, with the attributes `class_names` and `file_paths`.

    Raises:
        ValueError: an unknown word among the arguments, labels that are not as many as files, no files, or a split
            without a seed.
        MissingExtraError: Pillow is not installed.

    Source: `keras.utils.image_dataset_from_directory`.
    """
    who = "image_dataset_from_directory"
    if color_mode not in MODES:
        raise ValueError(f"{who}: color_mode={color_mode!r}: expected one of {', '.join(MODES)}")
    size = (image_size, image_size) if hasattr(image_size, "__index__") else tuple(image_size)
    if len(size) != 2 or any(not hasattr(n, "__index__") or n < 1 for n in size):
        raise ValueError(f"{who}: image_size={image_size!r}: expected two positive integers, or one")
    choices = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")
    if interpolation not in choices:
        raise ValueError(f"{who}: interpolation={interpolation!r}: expected one of {', '.join(choices)}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError(f"{who}: crop_to_aspect_ratio and pad_to_aspect_ratio exclude each other")
    first = config.standardize_data_format(data_format) == "channels_first"
    pillow = require("PIL.Image", "images", who)

    def read(path: str) -> np.ndarray:
        with pillow.open(path) as picture:
            image = np.asarray(in_mode(picture, color_mode), "float32")
        image = image[..., None] if image.ndim == 2 else image
        image = _resized(image, size, interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio)
        return image.transpose(2, 0, 1) if first else image

    given = (directory, labels, label_mode, class_names, shuffle, seed, validation_split, subset, follow_links, verbose)
    return _dataset(who, IMAGES, *given, batch_size, read, np.stack)


def text_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Batches of the texts in a folder, for layers such as `TextVectorization`.

    Args:
        directory: a folder with a folder of ``.txt`` files for each class, or, with other `labels`, of such files.
        max_length: bytes of a text, in UTF-8, that are kept; None keeps all.
        labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset, follow_links, format,
            verbose: see `image_dataset_from_directory`.

    Returns:
        A `FolderDataset` of ``(texts, labels)`` or ``texts``: NumPy arrays of strings. Its
        ``map(lambda x, y: (vectorize(x), y))`` is what `fit` takes.

    Source: `keras.utils.text_dataset_from_directory`.
    """

    def read(path: str) -> str:
        return Path(path).read_bytes()[:max_length].decode("utf-8", errors="ignore" if max_length else "strict")

    given = (directory, labels, label_mode, class_names, shuffle, seed, validation_split, subset, follow_links, verbose)
    return _dataset("text_dataset_from_directory", TEXTS, *given, batch_size, read, lambda x: np.array(x, object))


def audio_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    sampling_rate: int | None = None,
    output_sequence_length: int | None = None,
    ragged: bool = False,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    verbose: bool = True,
) -> Any:
    """Batches of the sounds in a folder, for `fit`, `evaluate` and `predict`.

    Args:
        directory: a folder with a folder of ``.wav`` files for each class, or, with other `labels`, of such files.
        sampling_rate: samples in a second that every file must have; None takes any. Nothing is resampled.
        output_sequence_length: samples to which sounds are cut or, with zeros, filled up; None is the longest of the
            batch.
        ragged: False.
        labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset, follow_links, verbose: see
            `image_dataset_from_directory`.

    Returns:
        A `FolderDataset` of ``(sounds, labels)`` or ``sounds``: float32 ``(batch, samples, channels)`` from -1 to 1.

    Raises:
        ValueError: as `image_dataset_from_directory`; when it is read, a file of another sampling rate, or one that is
            no WAV file of integers.

    Source: `keras.utils.audio_dataset_from_directory`.
    """
    who = "audio_dataset_from_directory"
    if ragged:
        raise ValueError(f"{who}: ragged=True is not supported: there are no ragged tensors; batches are filled up")

    def read(path: str) -> np.ndarray:
        sound, rate = _wav(path)
        if sampling_rate not in (None, rate):
            raise ValueError(f"{who}: {path} has {rate} samples in a second, not {sampling_rate}; resample it first")
        if output_sequence_length is None:
            return sound
        return np.pad(sound[:output_sequence_length], [(0, max(output_sequence_length - len(sound), 0)), (0, 0)])

    def join(sounds: list[np.ndarray]) -> np.ndarray:
        longest = max(map(len, sounds))
        return np.stack([np.pad(sound, [(0, longest - len(sound)), (0, 0)]) for sound in sounds])

    given = (directory, labels, label_mode, class_names, shuffle, seed, validation_split, subset, follow_links, verbose)
    return _dataset(who, SOUNDS, *given, batch_size, read, join)


# -- files and labels --------------------------------------------------------------------------------------------------


def _dataset(
    who: str,
    endings: tuple[str, ...],
    directory: Any,
    labels: Any,
    label_mode: str | None,
    class_names: Sequence[str] | None,
    shuffle: bool,
    seed: int | None,
    validation_split: float | None,
    subset: str | None,
    follow_links: bool,
    verbose: bool,
    batch_size: int | None,
    read: Callable[[str], Any],
    join: Callable[[list[Any]], Any],
) -> Any:
    """What the three functions share: the files, their labels and the split."""
    if label_mode not in ("int", "categorical", "binary", None):
        raise ValueError(f"{who}: label_mode={label_mode!r}: expected 'int', 'categorical', 'binary' or None")
    if isinstance(labels, str) and labels != "inferred":
        raise ValueError(f"{who}: labels={labels!r}: expected 'inferred', None or a list of integers")
    labels = None if label_mode is None else labels
    if class_names is not None and not isinstance(labels, str):
        raise ValueError(f"{who}: class_names go with labels='inferred'")
    if validation_split is not None and not 0 < validation_split < 1:
        raise ValueError(f"{who}: validation_split={validation_split}: expected a number between 0 and 1")
    if (validation_split is None) != (subset is None) or subset not in (None, "training", "validation", "both"):
        raise ValueError(
            f"{who}: validation_split={validation_split} and subset={subset!r}: give both, the subset as 'training', "
            "'validation' or 'both'"
        )
    if validation_split and shuffle and seed is None:
        raise ValueError(f"{who}: a validation_split of shuffled files needs a seed, or its parts would overlap")
    if batch_size is not None and (not hasattr(batch_size, "__index__") or batch_size < 1):
        raise ValueError(f"{who}: batch_size={batch_size!r}: expected a positive integer or None")
    paths, numbers, names = _files(who, Path(directory), endings, labels, class_names, follow_links)
    if label_mode == "binary" and labels is not None and len(names or ()) != 2:
        raise ValueError(f"{who}: label_mode='binary' needs two classes, found {names}")
    if verbose:
        classes = "" if names is None else f" belonging to {len(names)} classes"
        config.say(f"Found {len(paths)} files{classes}.")
    seed = int(host_integers((), 0, 10**6)) if seed is None else seed
    if shuffle:  # as Keras does, so that a split has the same files on either side
        order = np.arange(len(paths))
        np.random.RandomState(seed).shuffle(order)
        paths, numbers = [paths[i] for i in order], None if numbers is None else numbers[order]
    encoded = None if numbers is None else _encoded(numbers, label_mode, len(names or ()))
    cut = len(paths) - int((validation_split or 0) * len(paths))
    parts = {"training": slice(0, cut), "validation": slice(cut, None), None: slice(None)}
    made = []
    for part in ("training", "validation") if subset == "both" else (subset,):
        chosen = paths[parts[part]]
        if not chosen:
            kind = f"{part} files" if part else "files"
            raise ValueError(f"{who}: no {kind} in {directory}; their names would end with {', '.join(endings)}")
        if verbose and part:
            config.say(f"Using {len(chosen)} files for {part}.")
        mine = None if encoded is None else encoded[parts[part]]
        again = shuffle and not (subset == "both" and part == "validation")
        made.append(FolderDataset(chosen, mine, names, read, join, batch_size, again, seed))
    return made if subset == "both" else made[0]


def _files(
    who: str, directory: Path, endings: tuple[str, ...], labels: Any, class_names: Any, follow_links: bool
) -> tuple[list[str], np.ndarray | None, list[str] | None]:
    """Paths, labels and names of the classes."""
    if not directory.is_dir():
        raise ValueError(f"{who}: there is no folder {directory}")
    folders = [""]
    if isinstance(labels, str):
        found = sorted(p.name for p in directory.iterdir() if p.is_dir() and not p.name.startswith("."))
        folders = found if class_names is None else list(class_names)
        missing = sorted(set(folders) - set(found))
        if missing:
            raise ValueError(f"{who}: class_names has {', '.join(missing)}, but the folders are {', '.join(found)}")
    paths: list[str] = []
    counts = []
    for folder in folders:
        walked = sorted(os.walk(directory / folder, followlinks=follow_links), key=lambda item: item[0])
        inside = [os.path.join(root, f) for root, _, files in walked for f in sorted(files) if _ends(f, endings)]
        paths += inside
        counts.append(len(inside))
    if labels is None:
        return paths, None, None
    if isinstance(labels, str):
        return paths, np.repeat(np.arange(len(folders), dtype="int32"), counts), folders
    given = np.asarray(labels)
    if given.ndim != 1 or given.dtype.kind not in "iu" or len(given) != len(paths):
        raise ValueError(
            f"{who}: labels must be {len(paths)} integers, one for each file, got {len(given)} of {given.dtype}"
        )
    return paths, given.astype("int32"), [str(x) for x in sorted(set(given.tolist()))]


def _ends(name: str, endings: tuple[str, ...]) -> bool:
    return name.lower().endswith(endings)


def _encoded(numbers: np.ndarray, mode: str | None, classes: int) -> np.ndarray:
    if mode == "binary":
        return numbers.astype("float32")[:, None]
    if mode == "categorical":
        return (numbers[:, None] == np.arange(classes)).astype("float32")
    return numbers


def _resized(image: np.ndarray, size: tuple[int, int], interpolation: str, crop: bool, pad: bool) -> np.ndarray:
    """An image ``(height, width, channels)`` in another size, computed by the host."""
    height, width = image.shape[:2]
    if crop:
        tall, wide = min(height, width * size[0] // size[1]), min(width, height * size[1] // size[0])
        tall, wide = max(tall, 1), max(wide, 1)
        top, left = (height - tall) // 2, (width - wide) // 2
        image = image[top : top + tall, left : left + wide]
    if pad:
        ratio = max(height / size[0], width / size[1])
        inner = (max(int(height / ratio), 1), max(int(width / ratio), 1))
        image = _resized(image, inner, interpolation, False, False)
        before = [max(int((n - d / ratio) / 2), 0) for n, d in zip(size, (height, width), strict=True)]
        margins = [(m, n - d - m) for m, n, d in zip(before, size, inner, strict=True)]
        return np.pad(image, [*margins, (0, 0)])
    for axis in (0, 1):
        if image.shape[axis] == size[axis]:
            continue
        if interpolation == "nearest":
            at = ((np.arange(size[axis]) + 0.5) * image.shape[axis] / size[axis]).astype(int)
            image = np.take(image, at, axis)
        else:
            weights = resize_weights(image.shape[axis], size[axis], interpolation, False).astype("float32")
            image = np.moveaxis(np.tensordot(image, weights, (axis, 0)), -1, axis)
    return np.ascontiguousarray(image)


def _wav(path: str) -> tuple[np.ndarray, int]:
    """Samples of a WAV file from -1 to 1, ``(samples, channels)``, and how many there are in a second."""
    try:
        with wave.open(path, "rb") as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise ValueError(f"audio_dataset_from_directory: {path} is no WAV file of integers: {error}") from None
    if width == 1:
        samples = np.frombuffer(data, "uint8").astype("float32") / 128 - 1
    elif width == 3:
        packed = np.frombuffer(data, "uint8").reshape(-1, 3)
        whole = np.pad(packed, [(0, 0), (1, 0)]).reshape(-1).view("<i4")
        samples = (whole / 2.0**31).astype("float32")
    else:
        samples = (np.frombuffer(data, f"<i{width}") / 2.0 ** (8 * width - 1)).astype("float32")
    return samples.reshape(-1, channels), rate
