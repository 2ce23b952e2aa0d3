"""Models: functional, sequential, and subclassed."""

from kcore.models.cloning import clone_model
from kcore.models.freezing import freeze_weights, unfreeze_weights
from kcore.models.functional import Functional
from kcore.models.model import Model
from kcore.models.sequential import Sequential
from kcore.saving.architecture import model_from_json, model_from_yaml
from kcore.saving.model_files import load_model, save_model

__all__ = [
    "Functional",
    "Model",
    "Sequential",
    "clone_model",
    "freeze_weights",
    "load_model",
    "model_from_json",
    "model_from_yaml",
    "save_model",
    "unfreeze_weights",
]
