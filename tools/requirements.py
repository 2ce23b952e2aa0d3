"""Print what the distributions of this repository need from elsewhere, read from their pyproject.toml files.

``python tools/requirements.py demo dev`` prints the dependencies of all of them and of kcore's extras `demo` and
`dev`, one per line, without the distributions themselves: those are installed from this checkout.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def projects() -> list[Path]:
    """The folders of this repository's distributions, kcore first."""
    return [ROOT, *sorted(p.parent for kind in ("backends", "plugins") for p in (ROOT / kind).glob("*/pyproject.toml"))]


def requirements(extras: list[str]) -> list[str]:
    """The requirements of all distributions, of kcore's extras, and of the build backends, without duplicates."""
    ours, wanted = set(), []
    for folder in projects():
        content = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        project = content["project"]
        ours.add(project["name"])
        wanted += [*content["build-system"]["requires"], *project["dependencies"]]
        for extra in extras:
            wanted += project.get("optional-dependencies", {}).get(extra, [])
    wanted.append("editables>=0.5")  # hatchling's own need for an editable install
    return [r for r in dict.fromkeys(wanted) if re.split(r"[\[<>=!~; ]", r)[0] not in ours]


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1:])))
