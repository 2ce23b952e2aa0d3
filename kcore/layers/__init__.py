"""Layers: configuration, weights, and a computation in ops. Plugins add theirs with `register_serializable`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kcore.layers.activation.activation import Activation
from kcore.layers.activation.elu import ELU
from kcore.layers.activation.leaky_relu import LeakyReLU
from kcore.layers.activation.prelu import PReLU
from kcore.layers.activation.relu import ReLU
from kcore.layers.activation.softmax import Softmax
from kcore.layers.attention.additive_attention import AdditiveAttention
from kcore.layers.attention.attention import Attention
from kcore.layers.attention.grouped_query_attention import GroupQueryAttention
from kcore.layers.attention.multi_head_attention import MultiHeadAttention
from kcore.layers.convolution.base_conv import BaseConv
from kcore.layers.convolution.conv1d import Conv1D, Convolution1D
from kcore.layers.convolution.conv2d import Conv2D, Convolution2D
from kcore.layers.convolution.conv3d import Conv3D, Convolution3D
from kcore.layers.convolution.conv_transpose import (
    Conv1DTranspose,
    Conv2DTranspose,
    Conv3DTranspose,
    Convolution1DTranspose,
    Convolution2DTranspose,
    Convolution3DTranspose,
)
from kcore.layers.convolution.depthwise_conv import DepthwiseConv1D, DepthwiseConv2D
from kcore.layers.convolution.separable_conv import (
    SeparableConv1D,
    SeparableConv2D,
    SeparableConvolution1D,
    SeparableConvolution2D,
)
from kcore.layers.core.dense import Dense
from kcore.layers.core.einsum_dense import EinsumDense
from kcore.layers.core.embedding import Embedding
from kcore.layers.core.identity import Identity
from kcore.layers.core.input_layer import Input, InputLayer
from kcore.layers.core.kernel_layer import KernelLayer
from kcore.layers.core.lambda_layer import Lambda
from kcore.layers.core.masking import Masking
from kcore.layers.core.rescaling import Rescaling
from kcore.layers.core.reversible_embedding import ReversibleEmbedding
from kcore.layers.input_spec import InputSpec
from kcore.layers.layer import Layer
from kcore.layers.merging.base_merge import Merge
from kcore.layers.merging.concatenate import Concatenate, concatenate
from kcore.layers.merging.dot import Dot, dot
from kcore.layers.merging.elementwise import (
    Add,
    Average,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    maximum,
    minimum,
    multiply,
    subtract,
)
from kcore.layers.normalization.batch_normalization import BatchNormalization
from kcore.layers.normalization.group_normalization import GroupNormalization
from kcore.layers.normalization.layer_normalization import LayerNormalization
from kcore.layers.normalization.rms_normalization import RMSNormalization
from kcore.layers.normalization.spectral_normalization import SpectralNormalization
from kcore.layers.normalization.unit_normalization import UnitNormalization
from kcore.layers.pooling.adaptive_pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AdaptiveMaxPooling3D,
)
from kcore.layers.pooling.average_pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    AvgPool1D,
    AvgPool2D,
    AvgPool3D,
)
from kcore.layers.pooling.global_average_pooling import (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    GlobalAvgPool3D,
)
from kcore.layers.pooling.global_max_pooling import (
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GlobalMaxPool3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
)
from kcore.layers.pooling.max_pooling import MaxPool1D, MaxPool2D, MaxPool3D, MaxPooling1D, MaxPooling2D, MaxPooling3D
from kcore.layers.preprocessing.audio import MelSpectrogram, STFTSpectrogram
from kcore.layers.preprocessing.category_encoding import CategoryEncoding, Discretization
from kcore.layers.preprocessing.hashing import HashedCrossing, Hashing
from kcore.layers.preprocessing.image_colors import (
    RandomBrightness,
    RandomColorDegeneration,
    RandomColorJitter,
    RandomContrast,
    RandomGrayscale,
    RandomHue,
    RandomInvert,
    RandomPosterization,
    RandomSaturation,
    RandomSharpness,
    Solarization,
)
from kcore.layers.preprocessing.image_geometry import (
    RandomElasticTransform,
    RandomFlip,
    RandomPerspective,
    RandomRotation,
    RandomShear,
    RandomTranslation,
    RandomZoom,
)
from kcore.layers.preprocessing.image_histograms import (
    AutoContrast,
    ContrastLimitedAdaptiveHistogramEqualization,
    Equalization,
)
from kcore.layers.preprocessing.image_mixing import (
    AugMix,
    CutMix,
    MixUp,
    RandAugment,
    RandomErasing,
    RandomGaussianBlur,
)
from kcore.layers.preprocessing.image_sizes import CenterCrop, RandomCrop, Resizing
from kcore.layers.preprocessing.lookup import IntegerLookup, StringLookup
from kcore.layers.preprocessing.normalization import Normalization
from kcore.layers.preprocessing.pipeline import MaxNumBoundingBoxes, Pipeline
from kcore.layers.preprocessing.text_vectorization import TextVectorization
from kcore.layers.recurrent.bidirectional import Bidirectional
from kcore.layers.recurrent.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from kcore.layers.recurrent.gru import GRU, GRUCell
from kcore.layers.recurrent.lstm import LSTM, LSTMCell
from kcore.layers.recurrent.rnn import RNN
from kcore.layers.recurrent.simple_rnn import SimpleRNN, SimpleRNNCell
from kcore.layers.recurrent.stacked_cells import StackedRNNCells
from kcore.layers.regularization.activity_regularization import ActivityRegularization
from kcore.layers.regularization.alpha_dropout import AlphaDropout
from kcore.layers.regularization.dropout import Dropout
from kcore.layers.regularization.gaussian import GaussianDropout, GaussianNoise
from kcore.layers.regularization.spatial_dropout import SpatialDropout1D, SpatialDropout2D, SpatialDropout3D
from kcore.layers.reshaping.cropping import Cropping1D, Cropping2D, Cropping3D
from kcore.layers.reshaping.flatten import Flatten
from kcore.layers.reshaping.permute import Permute
from kcore.layers.reshaping.repeat_vector import RepeatVector
from kcore.layers.reshaping.reshape import Reshape
from kcore.layers.reshaping.up_sampling import UpSampling1D, UpSampling2D, UpSampling3D
from kcore.layers.reshaping.zero_padding import ZeroPadding1D, ZeroPadding2D, ZeroPadding3D
from kcore.layers.wrapping.time_distributed import TimeDistributed
from kcore.layers.wrapping.wrapper import Wrapper
from kcore.registry import deserialize as _deserialize
from kcore.registry import serialize as _serialize


def serialize(layer: Layer) -> dict[str, Any]:
    """The configuration of a layer.

    Example:
        >>> serialize(Flatten(name="flat"))["class_name"]
        'Flatten'
    """
    return _serialize(layer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """The layer a configuration describes.

    Example:
        >>> deserialize(serialize(Dense(3))).units
        3
    """
    layer = _deserialize(config, custom_objects, module="keras.layers")
    if not isinstance(layer, Layer):
        raise ValueError(f"the configuration describes {layer!r}, not a layer: {config}")
    return layer


# all that is imported above from kcore.layers, and the functions here
__all__ = sorted(name for name, value in globals().items() if getattr(value, "__module__", "").startswith(__name__))
