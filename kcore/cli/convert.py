"""``kcore convert A B``: a saved file in another form."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from kcore.cli.files import telling_trouble
from kcore.naming import fresh_names


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("source", type=Path, help="a whole model (.keras, .h5), or an architecture (.json, .yaml)")
    parser.add_argument(
        "target",
        type=Path,
        help="the new file; its ending chooses the form: .keras, .h5, .weights.h5, .weights.json, .safetensors, .json, "
        ".yaml",
    )
    parser.add_argument("--weights", type=Path, help="weights for an architecture, or in place of the model's own")
    parser.add_argument("--force", action="store_true", help="replace the target if it is there")


@telling_trouble
def run(args: argparse.Namespace) -> int:
    """Load, and save in the form of the target's name."""
    if args.target.exists() and not args.force:
        print(f"kcore: {args.target} exists; pass --force to replace it", file=sys.stderr)
        return 2
    with fresh_names():  # layers that have no name in the file get the same ones whatever ran before
        model = _load(args.source)
    if args.weights is not None:
        model.load_weights(args.weights)
    if args.weights is None and args.source.suffix in TEXTS and args.target.suffix not in TEXTS:
        print(f"kcore: {args.source} holds no weights: those in {args.target} are fresh", file=sys.stderr)
    _save(model, args.target)
    print(f"{args.target}: {type(model).__name__} {model.name!r}, {model.count_params():,} parameters")
    return 0


#: Endings of an architecture alone.
TEXTS = (".json", ".yaml", ".yml")


def _load(path: Path) -> Any:
    from kcore.models import load_model, model_from_json, model_from_yaml

    if path.suffix not in TEXTS:
        return load_model(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    return (model_from_json if path.suffix == ".json" else model_from_yaml)(path.read_text())


def _save(model: Any, path: Path) -> None:
    from kcore.utils.atomic import replacing

    if path.name.endswith((".weights.h5", ".weights.json", ".safetensors")):
        model.save_weights(path)
    elif path.suffix in TEXTS:
        text = model.to_json(indent=2) if path.suffix == ".json" else model.to_yaml()
        with replacing(path) as temporary:
            temporary.write_text(text)
    else:
        model.save(path)
