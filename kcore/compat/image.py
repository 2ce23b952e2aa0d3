"""Images augmented on their way into training, as ``keras.preprocessing.image`` of Keras 1 and 2 did.

New code takes the layers `RandomFlip`, `RandomRotation` and so on, which run on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kcore.compat.image_files import DataFrameIterator, DirectoryIterator
from kcore.compat.image_iterators import Iterator, NumpyArrayIterator, check_channels
from kcore.compat.image_transforms import (
    apply_affine_transform,
    apply_brightness_shift,
    apply_channel_shift,
    brightened,
    check_fill_mode,
    check_order,
    pair,
    placement,
    random_brightness,
    random_channel_shift,
    random_rotation,
    random_shear,
    random_shift,
    random_zoom,
    warp,
)
from kcore.config import floatx, image_data_format
from kcore.errors import warn_user
from kcore.preprocessing.image import array_to_img, img_to_array, load_img, save_img, smart_resize

__all__ = [
    "DataFrameIterator",
    "DirectoryIterator",
    "ImageDataGenerator",
    "Iterator",
    "NumpyArrayIterator",
    "apply_affine_transform",
    "apply_brightness_shift",
    "apply_channel_shift",
    "array_to_img",
    "img_to_array",
    "load_img",
    "random_brightness",
    "random_channel_shift",
    "random_rotation",
    "random_shear",
    "random_shift",
    "random_zoom",
    "save_img",
    "smart_resize",
]

#: Added to standard deviations before something is divided by them.
_TINY = 1e-6


class ImageDataGenerator:
    """Batches of images that are transformed at random, and brought to the range a model wants.

    An image is rotated, sheared, zoomed and shifted in one step, gets its channels shifted, is flipped and brightened;
    then come `preprocessing_function`, `rescale`, and what the statistics do. Zoom factors, angles and so on are drawn
    anew for every image of every batch.

    Args:
        featurewise_center: subtract the mean of the data that `fit` saw, channel by channel.
        samplewise_center: subtract its own mean from each image.
        featurewise_std_normalization: divide by the standard deviation of the data that `fit` saw; centres, too.
        samplewise_std_normalization: divide each image by its own standard deviation; centres, too.
        zca_whitening: take out what pixels have in common in the data that `fit` saw; centres, too.
        zca_epsilon: added to the singular values there.
        rotation_range: degrees to either side.
        width_shift_range, height_shift_range: a float below 1 for a share of the size, another float for pixels, to
            either side; an integer n for whole pixels between -n and n; a list for one of its values, to either side.
            Keras exchanges the axes of its shifts, and so does this: see `apply_affine_transform`.
        brightness_range: the two factors between which one is drawn; None for no change.
        shear_range: degrees to either side.
        zoom_range: the two factors between which one is drawn for each axis; a number z is ``(1 - z, 1 + z)``.
        channel_shift_range: what is added to all values at most, or subtracted.
        fill_mode: "nearest", "constant", "reflect", "mirror" or "wrap": what lies beyond the border.
        cval: the value there if it is "constant".
        horizontal_flip, vertical_flip: whether every other image is mirrored.
        rescale: factor of all values; None for none.
        preprocessing_function: from an image, an array of three axes, to one of the same shape.
        data_format: "channels_last" or "channels_first"; None for that of keras.json.
        validation_split: share of the samples that ``subset="validation"`` has.
        interpolation_order: 0 for the nearest pixel, 1 for linear interpolation; 2 to 5 for splines, which need SciPy.
        dtype: of the batches; None for floatx.

    Attributes:
        mean, std, zca_whitening_matrix: what `fit` learned.

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> import kcore
        >>> x, y = np.zeros((10, 8, 8, 3), "uint8"), np.arange(10)
        >>> augmented = ImageDataGenerator(rotation_range=20, horizontal_flip=True, rescale=1 / 255).flow(x, y, 4)
        >>> images, targets = next(augmented)
        >>> images.shape, images.dtype.name, targets.shape, len(augmented)
        ((4, 8, 8, 3), 'float32', (4,), 3)
        >>> model = kcore.Sequential([kcore.layers.Flatten(), kcore.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> model.fit(augmented, steps_per_epoch=5, epochs=2, verbose=0).history["loss"][-1] > 0
        True

    Source: `keras.preprocessing.image.ImageDataGenerator` (Keras 2).
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Sequence[float] | None = None,
        shear_range: float = 0.0,
        zoom_range: Any = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable[[np.ndarray], Any] | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: str | None = None,
    ):
        data_format = data_format or image_data_format()
        if data_format not in ("channels_last", "channels_first"):
            raise ValueError(f"data_format is 'channels_last' or 'channels_first', received {data_format!r}")
        if not 0 <= (validation_split or 0) < 1:
            raise ValueError(
                f"validation_split lies between 0 and 1, both excluded, or is 0; received {validation_split}"
            )
        check_fill_mode(fill_mode)
        check_order(interpolation_order)
        if isinstance(zoom_range, (int, float)):
            zoom_range = (1 - zoom_range, 1 + zoom_range)
        self.featurewise_center = featurewise_center or featurewise_std_normalization or zca_whitening
        self.featurewise_std_normalization = featurewise_std_normalization and not zca_whitening
        self.samplewise_center = samplewise_center or samplewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        for given, follows, what in (
            (
                self.featurewise_center != featurewise_center,
                "featurewise_center=True",
                "zca_whitening or featurewise_std",
            ),
            (self.samplewise_center != samplewise_center, "samplewise_center=True", "samplewise_std_normalization"),
            (zca_whitening and featurewise_std_normalization, "featurewise_std_normalization=False", "zca_whitening"),
        ):
            if given:
                warn_user(f"ImageDataGenerator: {what} includes {follows}")
        self.zca_whitening, self.zca_epsilon = zca_whitening, zca_epsilon
        self.rotation_range, self.shear_range, self.zoom_range = (
            rotation_range,
            shear_range,
            pair("zoom_range", zoom_range),
        )
        self.width_shift_range, self.height_shift_range = width_shift_range, height_shift_range
        self.brightness_range = None if brightness_range is None else pair("brightness_range", brightness_range)
        self.channel_shift_range, self.fill_mode, self.cval = channel_shift_range, fill_mode, cval
        self.horizontal_flip, self.vertical_flip, self.rescale = horizontal_flip, vertical_flip, rescale
        self.preprocessing_function, self.data_format = preprocessing_function, data_format
        self.validation_split, self.interpolation_order = validation_split or 0, interpolation_order
        self.dtype = dtype or floatx()
        self.channel_axis, self.row_axis, self.col_axis = (3, 1, 2) if data_format == "channels_last" else (1, 2, 3)
        self.mean: np.ndarray | None = None
        self.std: np.ndarray | None = None
        self.zca_whitening_matrix: np.ndarray | None = None

    # -- where the images come from ----------------------------------------------------------------------------------

    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        ignore_class_split: bool = False,
        subset: str | None = None,
    ) -> NumpyArrayIterator:
        """Batches of images that are an array.

        Args:
            x: (samples, rows, columns, channels), or with the channels second; or a tuple of that and what goes with
                each image, an array or a list of arrays, which is handed on as it is.
            y: a target per sample; None for batches without.
            batch_size: images in a batch.
            shuffle: whether their order is another one in every pass.
            sample_weight: a weight per sample.
            seed: of order and transformations.
            save_to_dir: folder for pictures of what the batches hold; None for none.
            save_prefix, save_format: how their names begin and end.
            ignore_class_split: whether the subsets may have different targets.
            subset: "training" or "validation", by `validation_split`.

        Returns: an iterator without end, and a `PyDataset` for `fit`.

        Raises:
            ValueError: arrays of different lengths or no images; a subset without a split or with targets of its own.
        """
        return NumpyArrayIterator(
            x,
            y,
            self,
            batch_size,
            shuffle,
            sample_weight,
            seed,
            self.data_format,
            save_to_dir,
            save_prefix,
            save_format,
            subset,
            ignore_class_split,
            self.dtype,
        )

    def flow_from_directory(
        self,
        directory: Any,
        target_size: Sequence[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
    ) -> DirectoryIterator:
        """Batches of images in a folder per class.

        Args:
            directory: the folder that holds those of the classes.
            target_size: (rows, columns) to which images are brought.
            color_mode: "grayscale", "rgb" or "rgba".
            classes: names of the folders in the order of their numbers; None for all there are, by name.
            class_mode: the targets: "categorical" (one-hot), "binary" or "sparse" (numbers), "input" (the images
                themselves), None for batches without.
            batch_size, shuffle, seed, save_to_dir, save_prefix, save_format, subset: as for `flow`. Subsets are taken
                class by class.
            follow_links: whether to go into folders that are links.
            interpolation: "nearest", "bilinear", "bicubic", "lanczos", "box" or "hamming".
            keep_aspect_ratio: cut off what does not fit the shape, rather than stretch.

        Returns: an iterator without end, and a `PyDataset` for `fit`, with `class_indices`, `classes`, `filenames`.

        Raises:
            FileNotFoundError: there is no such folder.
            ValueError: there are no images in it; an unknown `class_mode`, `color_mode` or `subset`.
            MissingExtraError: Pillow is not installed.
        """
        return DirectoryIterator(
            directory,
            self,
            target_size,
            color_mode,
            classes,
            class_mode,
            batch_size,
            shuffle,
            seed,
            self.data_format,
            save_to_dir,
            save_prefix,
            save_format,
            follow_links,
            subset,
            interpolation,
            keep_aspect_ratio,
            self.dtype,
        )

    def flow_from_dataframe(
        self,
        dataframe: Any,
        directory: Any = None,
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
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        validate_filenames: bool = True,
        **kwargs: Any,
    ) -> DataFrameIterator:
        """Batches of images named in a pandas DataFrame.

        Args:
            dataframe: a row per image.
            directory: where the images are; None if the names are whole paths.
            x_col: column of the names.
            y_col: column of the targets, or a list of columns for "multi_output" and "raw".
            weight_col: column of weights; None for none.
            classes: names of the classes in the order of their numbers, rows of others being left out; None for all.
            class_mode: the targets: "categorical" (one-hot, with several ones where the column has lists), "binary" or
                "sparse" (numbers), "raw" (what the columns hold), "multi_output" (a list of columns), "input" (the
                images themselves), None for batches without.
            validate_filenames: leave out rows whose file is not there or no image.
            target_size, color_mode, batch_size, shuffle, seed, save_to_dir, save_prefix, save_format, subset,
                interpolation: as for `flow_from_directory`; subsets are taken from all rows.
            **kwargs: `has_ext`, `sort` and `drop_duplicates` of Keras 2.2, which do nothing.

        Returns: an iterator without end, and a `PyDataset` for `fit`, with `class_indices`, `classes`, `filenames`.

        Raises:
            TypeError: names, targets or weights of a kind that does not go with `class_mode`.
            ValueError: no images, a column that is not there, or an unknown word.
            MissingExtraError: Pillow is not installed.
        """
        for name in kwargs:
            if name not in ("has_ext", "sort", "drop_duplicates"):
                raise TypeError(f"flow_from_dataframe() has no argument {name!r}")
            warn_user(f"flow_from_dataframe(): {name} has no effect", DeprecationWarning)
        return DataFrameIterator(
            dataframe,
            directory,
            self,
            x_col,
            y_col,
            weight_col,
            target_size,
            color_mode,
            classes,
            "raw" if class_mode == "other" else class_mode,  # its name before Keras 2.3
            batch_size,
            shuffle,
            seed,
            self.data_format,
            save_to_dir,
            save_prefix,
            save_format,
            subset,
            interpolation,
            False,
            self.dtype,
            validate_filenames,
        )

    # -- what is done to them ----------------------------------------------------------------------------------------

    def transform_batch(self, images: np.ndarray) -> np.ndarray:
        """Each image of a batch transformed at random and standardized; the array may be changed on the way.

        Args:
            images: (batch, rows, columns, channels), or with the channels second, floats.
        """
        drawn = [self.get_random_transform(images.shape[1:]) for _ in images]
        if type(self).apply_transform is ImageDataGenerator.apply_transform:
            images = self._applied(images, drawn)
        else:  # somebody's own, for one image
            images = np.stack([self.apply_transform(x, one) for x, one in zip(images, drawn, strict=True)])
        for i, image in enumerate(images):
            images[i] = self.standardize(image)
        return images

    def get_random_transform(self, img_shape: Sequence[int], seed: int | None = None) -> dict[str, Any]:
        """What `apply_transform` is to do to an image, drawn at random.

        Args:
            img_shape: of the image.
            seed: for NumPy's global generator first; None leaves that as it stands.

        Returns: a dict of "theta", "tx", "ty", "shear", "zx", "zy", "flip_horizontal", "flip_vertical",
            "channel_shift_intensity" and "brightness", the last two of which may be None.

        Example:
            >>> drawn = ImageDataGenerator(rotation_range=10).get_random_transform((8, 8, 3), seed=1)
            >>> round(drawn["theta"], 4), drawn["zx"]
            (-1.6596, 1)
        """
        if seed is not None:
            np.random.seed(seed)
        uniform = np.random.uniform
        theta = uniform(-self.rotation_range, self.rotation_range) if self.rotation_range else 0
        tx = _shift(self.height_shift_range, img_shape[self.row_axis - 1])
        ty = _shift(self.width_shift_range, img_shape[self.col_axis - 1])
        shear = uniform(-self.shear_range, self.shear_range) if self.shear_range else 0
        low, high = self.zoom_range
        zx, zy = (1, 1) if low == high == 1 else uniform(low, high, 2)
        flips = np.random.random() < 0.5, np.random.random() < 0.5
        span = self.channel_shift_range
        return {
            "theta": theta,
            "tx": tx,
            "ty": ty,
            "shear": shear,
            "zx": zx,
            "zy": zy,
            "flip_horizontal": flips[0] and bool(self.horizontal_flip),
            "flip_vertical": flips[1] and bool(self.vertical_flip),
            "channel_shift_intensity": uniform(-span, span) if span else None,
            "brightness": None if self.brightness_range is None else uniform(*self.brightness_range),
        }

    def apply_transform(self, x: Any, transform_parameters: Mapping[str, Any]) -> np.ndarray:
        """One image transformed.

        Args:
            x: an image of three axes.
            transform_parameters: as `get_random_transform` gives them; what is left out is not done.

        Example:
            >>> x = np.arange(4.0).reshape(2, 2, 1)
            >>> ImageDataGenerator().apply_transform(x, {"flip_horizontal": True})[..., 0].tolist()
            [[1.0, 0.0], [3.0, 2.0]]
        """
        x = np.asarray(x)
        if x.ndim != 3:
            raise ValueError(f"apply_transform() takes one image, of three axes; received shape {x.shape}")
        return self._applied(x[None], [transform_parameters])[0]

    def _applied(self, images: np.ndarray, drawn: Sequence[Mapping[str, Any]]) -> np.ndarray:
        shape, channel_axis = images.shape[1:], self.channel_axis - 1
        places = [
            placement(
                shape,
                channel_axis,
                one.get("theta", 0),
                one.get("tx", 0),
                one.get("ty", 0),
                one.get("shear", 0),
                one.get("zx", 1),
                one.get("zy", 1),
            )
            for one in drawn
        ]
        images = warp(images, places, self.channel_axis, self.fill_mode, self.cval, self.interpolation_order)
        if any(one.get("brightness") is not None for one in drawn):
            images = images.astype(floatx(), copy=False)  # whatever it was
        for image, one in zip(images, drawn, strict=True):
            if one.get("channel_shift_intensity") is not None:
                image[:] = apply_channel_shift(image, one["channel_shift_intensity"])
            if one.get("flip_horizontal"):
                image[:] = np.flip(image, self.col_axis - 1).copy()
            if one.get("flip_vertical"):
                image[:] = np.flip(image, self.row_axis - 1).copy()
            if one.get("brightness") is not None:
                image[:] = brightened(image, one["brightness"], False, channel_axis)
        return images

    def random_transform(self, x: Any, seed: int | None = None) -> np.ndarray:
        """One image transformed at random: `get_random_transform` and `apply_transform`."""
        return self.apply_transform(x, self.get_random_transform(np.shape(x), seed))

    def standardize(self, x: np.ndarray) -> np.ndarray:
        """An image, or a batch of them, brought to the range the model wants; floats are changed in place.

        Args:
            x: of three or four axes. The mean and deviation of "samplewise" are those of all of it.

        Example:
            >>> ImageDataGenerator(rescale=0.5, samplewise_center=True).standardize(np.array([[[2.0, 4.0]]])).tolist()
            [[[-0.5, 0.5]]]
        """
        if self.preprocessing_function:
            x = self.preprocessing_function(x)
        x = np.asarray(x)
        if x.dtype.kind != "f":
            x = x.astype(self.dtype)
        if self.rescale:
            x *= self.rescale
        if self.samplewise_center:
            x -= x.mean()
        if self.samplewise_std_normalization:
            x /= x.std() + _TINY
        if (mean := self._learned("mean", "featurewise_center")) is not None:
            x -= mean
        if (std := self._learned("std", "featurewise_std_normalization")) is not None:
            x /= std + _TINY
        if (matrix := self._learned("zca_whitening_matrix", "zca_whitening")) is not None:
            x = (x.reshape(-1, len(matrix)) @ matrix).reshape(x.shape)
        return x

    def _learned(self, name: str, setting: str) -> Any:
        """What `fit` learned, if it is wanted."""
        if not getattr(self, setting):
            return None
        if getattr(self, name) is None:
            warn_user(f"ImageDataGenerator({setting}=True) does nothing before fit(x) was called on training images")
        return getattr(self, name)

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Learn the mean, deviation and common pixels of images, for "featurewise" and `zca_whitening`.

        Args:
            x: (samples, rows, columns, channels), or with the channels second; `rescale` is applied to them before.
            augment: learn from transformed images.
            rounds: how many of each.
            seed: for NumPy's global generator first.

        Raises:
            ValueError: `x` has other than four axes.

        Example:
            >>> generator = ImageDataGenerator(featurewise_center=True)
            >>> generator.fit(np.full((2, 4, 4, 1), 3.0))
            >>> generator.mean.tolist()
            [[[3.0]]]
        """
        images = np.array(x, self.dtype)
        if images.ndim != 4:
            raise ValueError(f"fit() learns from a batch of images, of four axes; received shape {images.shape}")
        check_channels(images.shape, self.data_format)
        if seed is not None:
            np.random.seed(seed)
        if self.rescale:
            images *= self.rescale
        if augment:
            images = np.stack([self.random_transform(image) for _ in range(rounds) for image in images])
        axes = (0, self.row_axis, self.col_axis)
        if self.featurewise_center:
            self.mean = images.mean(axes, keepdims=True)[0]
            images -= self.mean
        if self.featurewise_std_normalization:
            self.std = images.std(axes, keepdims=True)[0]
        if self.zca_whitening:
            flat = images.reshape(len(images), -1)
            directions, sizes, _ = np.linalg.svd(flat.T, full_matrices=False)
            self.zca_whitening_matrix = (directions * (np.sqrt(len(flat)) / (sizes + self.zca_epsilon))) @ directions.T


def _shift(span: Any, size: int) -> Any:
    """A shift in pixels, from what `width_shift_range` may be."""
    if np.ndim(span) == 0 and not span:
        return 0
    if np.ndim(span) == 0 and not isinstance(span, (int, np.integer)):
        drawn = np.random.uniform(-span, span)
    else:
        drawn = np.random.choice(span) * np.random.choice([-1, 1])
    return drawn * size if np.max(span) < 1 else drawn
