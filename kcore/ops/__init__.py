"""Every op's public function, by Keras's names; each is defined in the module of its family."""

from __future__ import annotations

from kcore.ops import image, linalg
from kcore.ops.activation import *  # noqa: F403
from kcore.ops.adaptive_pooling import *  # noqa: F403
from kcore.ops.arranging import *  # noqa: F403
from kcore.ops.attention import *  # noqa: F403
from kcore.ops.bitwise import *  # noqa: F403
from kcore.ops.blocks import *  # noqa: F403
from kcore.ops.contraction import *  # noqa: F403
from kcore.ops.control import *  # noqa: F403
from kcore.ops.convolution import *  # noqa: F403
from kcore.ops.creation import *  # noqa: F403
from kcore.ops.ctc import *  # noqa: F403
from kcore.ops.ctc_decoding import *  # noqa: F403
from kcore.ops.derivatives import *  # noqa: F403
from kcore.ops.elementwise import *  # noqa: F403
from kcore.ops.fft import *  # noqa: F403
from kcore.ops.getitem import *  # noqa: F403
from kcore.ops.gru import *  # noqa: F403
from kcore.ops.indexing import *  # noqa: F403
from kcore.ops.joining import *  # noqa: F403
from kcore.ops.linalg import *  # noqa: F403
from kcore.ops.losses import *  # noqa: F403
from kcore.ops.mapping import *  # noqa: F403
from kcore.ops.moments import *  # noqa: F403
from kcore.ops.nans import *  # noqa: F403
from kcore.ops.normalization import *  # noqa: F403
from kcore.ops.pooling import *  # noqa: F403
from kcore.ops.products import *  # noqa: F403
from kcore.ops.quantiles import *  # noqa: F403
from kcore.ops.random import *  # noqa: F403
from kcore.ops.ranges import *  # noqa: F403
from kcore.ops.recurrent import *  # noqa: F403
from kcore.ops.reduction import *  # noqa: F403
from kcore.ops.running import *  # noqa: F403
from kcore.ops.segments import *  # noqa: F403
from kcore.ops.sets import *  # noqa: F403
from kcore.ops.shape import *  # noqa: F403
from kcore.ops.signal import *  # noqa: F403
from kcore.ops.simple_rnn import *  # noqa: F403
from kcore.ops.sorting import *  # noqa: F403
from kcore.ops.special import *  # noqa: F403
from kcore.ops.values import *  # noqa: F403
from kcore.ops.window_functions import *  # noqa: F403
from kcore.runtime import convert_to_tensor, is_tensor
from kcore.runtime.symbolic import record_functions as _record_functions


def convert_to_numpy(x):
    """The values of a tensor, variable, list or number as a NumPy array of its own."""
    import numpy as np

    return np.array(x.numpy() if hasattr(x, "numpy") else x)


_record_functions(globals())

from kcore.ops import nn, numpy  # noqa: E402 - they hold functions from above

__all__ = [name for name in dir() if not name.startswith("_") and name != "annotations"]
