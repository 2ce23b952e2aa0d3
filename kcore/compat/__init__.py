"""Old scripts on kcore: ``import keras``, ``from tensorflow import keras`` and PlaidML's setup mean kcore for them.

`install` does it in a program, ``kcore run script.py`` for a script that nobody wants to touch. Classes and functions
are kcore's own: ``keras.layers.Dense is kcore.layers.Dense``. What these modules hold beside that are names that Keras
3 no longer has and old scripts use: the modules of Keras 1 and 2, ``keras.backend``'s functions, the text tokenizer,
augmented images, wrappers for scikit-learn.
"""

from __future__ import annotations

from kcore.compat.aliases import NAMES, install, uninstall

__all__ = ["NAMES", "install", "uninstall"]
