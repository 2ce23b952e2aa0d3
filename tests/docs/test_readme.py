"""The README names what there is to install and to type, and nothing else."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from kcore.cli import main

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _section(title):
    return README.split(f"## {title}\n")[1].split("\n## ")[0]


def _offered(capsys):
    main([])
    listed = capsys.readouterr().out.split("commands:")[1]
    return set(re.findall(r"^    ([a-z-]+)", listed, flags=re.MULTILINE))


def test_every_extra_is_named():
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]) - {"dev"}
    rows = set(re.findall(r"^\| `([a-z0-9-]+)`", _section("Install"), flags=re.MULTILINE))
    named = rows | set(re.findall(r"kcore\[([a-z0-9-]+)\]", _section("Install")))
    assert named - extras == set(), "no such extra"
    assert {e for e in extras if not e.startswith("cuda")} - named == set(), "not in the README"


def test_every_command_is_named(capsys):
    named = set(re.findall(r"^\| `kcore ([a-z-]+)", _section("The `kcore` command"), flags=re.MULTILINE))
    assert named == _offered(capsys)
