"""Models for images that others have trained: forty architectures, with weights learned from ImageNet if you like.

``keras.applications.ResNet50()`` fetches the weights once into Keras's cache folder. Beside its models each module has
the `preprocess_input` that they want, and `decode_predictions`.
"""

from __future__ import annotations

from kcore.applications import (
    convnext,
    densenet,
    efficientnet,
    efficientnet_v2,
    imagenet_utils,
    inception_resnet_v2,
    inception_v3,
    mobilenet,
    mobilenet_v2,
    mobilenet_v3,
    nasnet,
    resnet,
    resnet50,
    resnet_v2,
    vgg16,
    vgg19,
    xception,
)
from kcore.applications.convnext import ConvNeXtBase, ConvNeXtLarge, ConvNeXtSmall, ConvNeXtTiny, ConvNeXtXLarge
from kcore.applications.densenet import DenseNet121, DenseNet169, DenseNet201
from kcore.applications.efficientnet import (
    EfficientNetB0,
    EfficientNetB1,
    EfficientNetB2,
    EfficientNetB3,
    EfficientNetB4,
    EfficientNetB5,
    EfficientNetB6,
    EfficientNetB7,
)
from kcore.applications.efficientnet_v2 import (
    EfficientNetV2B0,
    EfficientNetV2B1,
    EfficientNetV2B2,
    EfficientNetV2B3,
    EfficientNetV2L,
    EfficientNetV2M,
    EfficientNetV2S,
)
from kcore.applications.inception_resnet_v2 import InceptionResNetV2
from kcore.applications.inception_v3 import InceptionV3
from kcore.applications.mobilenet import MobileNet
from kcore.applications.mobilenet_v2 import MobileNetV2
from kcore.applications.mobilenet_v3 import MobileNetV3Large, MobileNetV3Small
from kcore.applications.nasnet import NASNetLarge, NASNetMobile
from kcore.applications.resnet import ResNet50, ResNet101, ResNet152
from kcore.applications.resnet_v2 import ResNet50V2, ResNet101V2, ResNet152V2
from kcore.applications.vgg16 import VGG16
from kcore.applications.vgg19 import VGG19
from kcore.applications.xception import Xception

__all__ = sorted(name for name in globals() if not name.startswith("_") and name not in ("annotations", "assembly"))
