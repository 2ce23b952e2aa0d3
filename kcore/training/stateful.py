"""Models that keep states from batch to batch: all their batches are of one size, which is checked before a step."""

from __future__ import annotations

from typing import Any

from kcore.layers.input_spec import describe_layer
from kcore.layers.recurrent.rnn import RNN
from kcore.training.data import is_stream
from kcore.training.sources.arrays import ArrayBatches
from kcore.training.sources.kinds import source_of
from kcore.training.sources.source import Source
from kcore.tree import leaves


def stateful_batch(model: Any) -> tuple[int, Any] | None:
    """The batch size that a model's first stateful layer was built for, and that layer; None if there is none."""
    if not RNN.any_states:
        return None
    keeping = (layer for layer in model._flatten_layers() if isinstance(layer, RNN) and layer.states is not None)
    layer = next(keeping, None)
    return None if layer is None else (int(next(leaves(layer.states)).shape[0]), layer)


def source_for(
    model: Any,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    steps: int | None = None,
    *more: Any,
) -> Source:
    """Batches from whatever the user passed (see `source_of`), of the size that a stateful model needs."""
    needed = None if batch_size is not None or is_stream(x) else stateful_batch(model)
    return source_of(x, y, sample_weight, batch_size if needed is None else needed[0], steps, *more)


def check_batches(model: Any, source: Any, steps: int | None = None) -> None:
    """Raise, before anything is changed, if a stateful model would meet a batch of another size.

    Args:
        model: the model; nothing is asked of one without stateful layers.
        source: its data; only arrays can be looked at ahead, other batches are checked one by one.
        steps: how many batches will be taken; None for all.

    Raises:
        ValueError: another batch size, or a last batch that is smaller.
    """
    needed = stateful_batch(model) if isinstance(source, ArrayBatches) else None
    if needed is None:
        return
    size, layer = needed
    where = f"{describe_layer(layer)} of model {model.name!r} is stateful with batches of {size}"
    if source.batch_size != size:
        raise ValueError(f"{where}, got batch_size={source.batch_size}: give batch_size={size}, or leave it away")
    rest = source.samples % size
    if rest and (steps is None or steps >= source.num_batches):
        raise ValueError(
            f"{where}, but the last batch of {source.samples} samples would have {rest}: leave those away, or fill the "
            "batch up"
        )
