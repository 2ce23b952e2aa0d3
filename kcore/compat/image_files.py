"""Batches of images read from files, found in folders or named in a DataFrame."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kcore.compat.image_iterators import TransformedImages, part_of
from kcore.config import is_interactive_logging_enabled
from kcore.errors import warn_user
from kcore.utils import img_to_array, load_img

#: Endings of the names of files that are taken for images.
FORMATS = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff")

_CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}


class _Files(TransformedImages):
    """What the iterators over files share.

    Args:
        generator, batch_size, shuffle, seed, data_format, dtype: as for `TransformedImages`.
        save_to_dir, save_prefix, save_format: as for `TransformedImages`.
        filenames: of the images, below a directory.
        directory: where they are.
        target_size: (rows, columns) to which images are brought.
        color_mode: "grayscale", "rgb" or "rgba".
        class_mode: what the targets are.
        interpolation: how images are brought to their size.
        keep_aspect_ratio: cut off what does not fit the shape, rather than stretch.
    """

    #: What `class_mode` may be.
    allowed_class_modes: tuple[str | None, ...] = ()
    #: The number of the class of each sample, or a list of numbers.
    classes: Any = None
    class_indices: dict[str, int]

    def __init__(
        self,
        generator: Any,
        filenames: list[str],
        directory: str,
        target_size: Sequence[int],
        color_mode: str,
        class_mode: str | None,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        data_format: str | None,
        save_to_dir: str | None,
        save_prefix: str,
        save_format: str,
        subset: str | None,
        interpolation: str,
        keep_aspect_ratio: bool,
        dtype: str | None,
    ):
        super().__init__(
            len(filenames),
            batch_size,
            shuffle,
            seed,
            generator,
            data_format,
            dtype,
            save_to_dir,
            save_prefix,
            save_format,
        )
        if color_mode not in _CHANNELS:
            raise ValueError(f"color_mode is one of {', '.join(_CHANNELS)}; received {color_mode!r}")
        self.directory, self.filenames, self.samples = directory, filenames, len(filenames)
        self.filepaths = [os.path.join(directory, name) for name in filenames]
        self.target_size, self.color_mode, self.class_mode = tuple(target_size), color_mode, class_mode
        self.subset, self.interpolation, self.keep_aspect_ratio = subset, interpolation, keep_aspect_ratio
        channels = (_CHANNELS[color_mode],)
        last = self.data_format == "channels_last"
        self.image_shape = (*self.target_size, *channels) if last else (*channels, *self.target_size)

    @property
    def labels(self) -> Any:
        """The target of each sample."""
        return self.classes

    @property
    def sample_weight(self) -> np.ndarray | None:
        """The weight of each sample."""
        return None

    def _check_class_mode(self, class_mode: Any) -> None:
        if class_mode not in self.allowed_class_modes:
            allowed = ", ".join(map(repr, self.allowed_class_modes))
            raise ValueError(f"class_mode of a {type(self).__name__} is one of {allowed}; received {class_mode!r}")

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        images = np.empty((len(index_array), *self.image_shape), self.dtype)
        for image, i in zip(images, index_array, strict=True):
            read = load_img(
                self.filepaths[i],
                color_mode=self.color_mode,
                target_size=self.target_size,
                interpolation=self.interpolation,
                keep_aspect_ratio=self.keep_aspect_ratio,
            )
            image[:] = img_to_array(read, self.data_format)
        images = self._transformed(images)
        self._saved(images, index_array, 10**7)
        if self.class_mode is None:
            return images
        targets = images.copy() if self.class_mode == "input" else self._targets_of(index_array)
        weight = self.sample_weight
        return (images, targets) if weight is None else (images, targets, weight[index_array])

    def _targets_of(self, index_array: np.ndarray) -> Any:
        if self.class_mode == "multi_output":
            return [target[index_array] for target in self.labels]
        if self.class_mode == "raw":
            return self.labels[index_array]
        if self.class_mode != "categorical":
            return np.array([self.classes[i] for i in index_array], self.dtype)
        targets = np.zeros((len(index_array), len(self.class_indices)), self.dtype)
        for target, i in zip(targets, index_array, strict=True):
            target[self.classes[i]] = 1
        return targets


class DirectoryIterator(_Files):
    """Batches of images in a folder per class; `ImageDataGenerator.flow_from_directory` makes it.

    Args:
        directory: the folder that holds those of the classes.
        image_data_generator: transforms the images; None leaves them as they are.
        classes: names of the folders in the order of their numbers; None for all there are, by name.
        class_mode: "categorical", "binary", "sparse", "input" or None.

    Attributes:
        class_indices: the number of each class by name.
        classes: the number of the class of each sample, int32.
        filenames: relative to `directory`, in the order of the samples; `filepaths` has the whole paths.
        samples, num_classes: how many.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: there are no images in it; an unknown `class_mode`, `color_mode` or `subset`.

    Source: `keras.preprocessing.image.DirectoryIterator` (Keras 2).
    """

    allowed_class_modes = ("categorical", "binary", "sparse", "input", None)

    def __init__(
        self,
        directory: Any,
        image_data_generator: Any,
        target_size: Sequence[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: str | None = None,
    ):
        self._check_class_mode(class_mode)
        share = part_of(subset, getattr(image_data_generator, "validation_split", None))
        directory = os.fspath(directory)
        if not os.path.isdir(directory):
            raise FileNotFoundError(f"directory {directory!r} of images is not there")
        names = list(classes or sorted(entry.name for entry in os.scandir(directory) if entry.is_dir()))
        filenames: list[str] = []
        numbers: list[int] = []
        for number, name in enumerate(names):
            files = _images_below(os.path.join(directory, name), follow_links)
            if share is not None:
                files = files[int(share[0] * len(files)) : int(share[1] * len(files))]
            filenames += [os.path.join(name, file) for file in files]
            numbers += [number] * len(files)
        if not filenames:
            below = f"its folders {', '.join(names)}" if names else "it, which has no folder for a class"
            raise ValueError(
                f"directory {directory!r} has no images{f' for subset={subset!r}' if subset else ''} in {below}; "
                f"expected a folder per class with files that end in {', '.join(FORMATS)}"
            )
        self.class_indices = {name: number for number, name in enumerate(names)}
        self.num_classes = len(names)
        super().__init__(
            image_data_generator,
            filenames,
            directory,
            target_size,
            color_mode,
            class_mode,
            batch_size,
            shuffle,
            seed,
            data_format,
            save_to_dir,
            save_prefix,
            save_format,
            subset,
            interpolation,
            keep_aspect_ratio,
            dtype,
        )
        self.classes = np.array(numbers, "int32")
        say(f"Found {self.samples} images belonging to {self.num_classes} classes.")


def _images_below(folder: str, follow_links: bool) -> list[str]:
    """The images in a folder and its folders, as Keras orders them: folder by folder."""
    found: list[str] = []
    for root, _, files in sorted(os.walk(folder, followlinks=follow_links), key=lambda entry: entry[0]):
        found += [os.path.relpath(os.path.join(root, name), folder) for name in sorted(files) if is_image(name)]
    return found


def is_image(name: str) -> bool:
    """Whether a file is taken for an image, by its name."""
    return name.lower().endswith(FORMATS)


def say(text: str) -> None:
    """Print, unless the user has switched that off."""
    if is_interactive_logging_enabled():
        print(text)


class DataFrameIterator(_Files):
    """Batches of images named in a pandas DataFrame; `ImageDataGenerator.flow_from_dataframe` makes it.

    Args:
        dataframe: a row per image.
        directory: where the images are; None if the names are whole paths.
        image_data_generator: transforms the images; None leaves them as they are.
        x_col: column of the names.
        y_col: column of the targets, or a list of columns for ``class_mode="multi_output"`` and ``"raw"``.
        weight_col: column of weights, or None.
        classes: names of the classes in the order of their numbers, rows of others being left out; None for all.
        class_mode: "categorical", "binary", "sparse", "input", "multi_output", "raw" or None.
        validate_filenames: leave out rows whose file is not there or no image.

    Attributes:
        class_indices: the number of each class by name.
        classes: the number of the class of each sample, or a list where a sample has several.
        filenames, samples: as for `DirectoryIterator`.

    Raises:
        TypeError: names, targets or weights of a kind that does not go with `class_mode`.
        ValueError: no images; a column that is not there; other than two classes for "binary"; an unknown `class_mode`,
            `color_mode` or `subset`.

    Source: `keras.preprocessing.image.DataFrameIterator` (Keras 2).
    """

    allowed_class_modes = ("categorical", "binary", "sparse", "input", "multi_output", "raw", None)

    def __init__(
        self,
        dataframe: Any,
        directory: Any = None,
        image_data_generator: Any = None,
        x_col: str = "filename",
        y_col: Any = "class",
        weight_col: str | None = None,
        target_size: Sequence[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = "channels_last",
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: str | None = "float32",
        validate_filenames: bool = True,
    ):
        self._check_class_mode(class_mode)
        share = part_of(subset, getattr(image_data_generator, "validation_split", None))
        directory = os.fspath(directory or "")
        by_class = class_mode in ("categorical", "binary", "sparse")
        targets = [] if class_mode in ("input", None) else list(y_col) if isinstance(y_col, (list, tuple)) else [y_col]
        if class_mode == "multi_output" and not isinstance(y_col, (list, tuple)):
            raise TypeError(f"class_mode='multi_output' needs y_col to be a list of columns, received {y_col!r}")
        missing = [c for c in (x_col, *targets, *([weight_col] if weight_col else [])) if c not in dataframe.columns]
        if missing:
            raise ValueError(
                f"the dataframe has no column {missing[0]!r}, only {', '.join(map(repr, dataframe.columns))}"
            )
        if weight_col and not np.issubdtype(dataframe[weight_col].to_numpy().dtype, np.number):
            raise TypeError(f"weight_col={weight_col!r} must be a column of numbers, is {dataframe[weight_col].dtype}")
        names = dataframe[x_col].tolist()
        _check_kind(names, (str,), f"x_col={x_col!r}", "names of files")
        kept = np.ones(len(names), bool)
        if validate_filenames:
            kept = np.array([is_image(name) and os.path.isfile(os.path.join(directory, name)) for name in names], bool)
            if not kept.all():
                warn_user(
                    f"{(~kept).sum()} of {len(names)} files in x_col={x_col!r} are not there or no images: left out"
                )
        if by_class:
            labels = dataframe[y_col].tolist()
            several: tuple[type, ...] = (str, list, tuple) if class_mode == "categorical" else (str,)
            _check_kind(labels, several, f"y_col={y_col!r} with class_mode={class_mode!r}", "strings")
            labels, known = _labels(labels, kept, classes)
            kept &= np.array([label is not None for label in labels], bool)
            if class_mode == "binary" and len(known) != 2:
                raise ValueError(f"class_mode='binary' needs two classes, there are {len(known)}: {', '.join(known)}")
            self.class_indices = {name: number for number, name in enumerate(known)}
        elif classes:
            warn_user(f"classes is not used with class_mode={class_mode!r}")
        rows = np.flatnonzero(kept)
        if share is not None:
            rows = rows[int(share[0] * len(rows)) : int(share[1] * len(rows))]
        if not len(rows):
            where = f" in directory {directory!r}" if directory else ""
            raise ValueError(f"none of the {len(names)} rows of the dataframe is an image that can be used{where}")
        super().__init__(
            image_data_generator,
            [names[i] for i in rows],
            directory,
            target_size,
            color_mode,
            class_mode,
            batch_size,
            shuffle,
            seed,
            data_format,
            save_to_dir,
            save_prefix,
            save_format,
            subset,
            interpolation,
            keep_aspect_ratio,
            dtype,
        )
        self._weight = dataframe[weight_col].to_numpy()[rows] if weight_col else None
        self._targets: Any = None
        about = ""
        if by_class:
            number = self.class_indices
            self.classes = [
                number[label] if isinstance(label, str) else [number[one] for one in label]
                for label in (labels[i] for i in rows)
            ]
            about = f" belonging to {len(number)} classes"
        elif class_mode == "multi_output":
            self._targets = [np.array(dataframe[column].iloc[rows].tolist()) for column in targets]
        elif class_mode == "raw":
            self._targets = dataframe[y_col].to_numpy()[rows]
        checked = "validated" if validate_filenames else "non-validated"
        say(f"Found {self.samples} {checked} image filenames{about}.")

    @property
    def labels(self) -> Any:
        """The target of each sample: its class, what its columns hold, or for several columns a list of arrays."""
        return self.classes if self._targets is None else self._targets

    @property
    def sample_weight(self) -> np.ndarray | None:
        """The weight of each sample."""
        return self._weight


def _check_kind(values: Iterable[Any], kinds: tuple[type, ...], which: str, what: str) -> None:
    wrong = [value for value in values if not isinstance(value, kinds)]
    if wrong:
        raise TypeError(f"{which} must be a column of {what}, found {wrong[0]!r}")


def _labels(labels: Sequence[Any], kept: np.ndarray, classes: Sequence[str] | None) -> tuple[list[Any], list[str]]:
    """Labels, or lists of them, with None where none is known; and the names of the classes."""
    if classes is None:
        used = [label for label, keep in zip(labels, kept, strict=True) if keep]
        return list(labels), sorted({one for label in used for one in ([label] if isinstance(label, str) else label)})
    known = list(dict.fromkeys(classes))
    found: list[Any] = []
    for label in labels:
        if isinstance(label, str):
            found.append(label if label in known else None)
        else:
            found.append([one for one in label if one in known] or None)
    return found, known
