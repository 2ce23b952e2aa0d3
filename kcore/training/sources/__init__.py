"""Where batches come from: one file for each kind of source, all with the protocol of `Source`."""

from kcore.training.sources.py_dataset import PyDataset

__all__ = ["PyDataset"]
