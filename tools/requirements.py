"""Print what the distributions of this repository need from elsewhere, read from their pyproject.toml files.

``python tools/requirements.py demo dev`` prints the dependencies of all of them and of kcore's extras `demo` and
`dev`, one per line, without the distributions themselves: those are installed from this checkout. An extra that asks
for an extra of one of them (``kcore-opencl[pocl]``) is followed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENT = re.compile(r"([\w.-]+)\s*(?:\[([^\]]*)\])?")


def projects() -> list[Path]:
    """The folders of this repository's distributions, kcore first."""
    return [ROOT, *sorted(p.parent for kind in ("backends", "plugins") for p in (ROOT / kind).glob("*/pyproject.toml"))]


def requirements(extras: list[str]) -> list[str]:
    """The requirements of all distributions, of kcore's extras, and of the build backends, without duplicates."""
    contents = [tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8")) for folder in projects()]
    ours: dict[str, dict[str, Any]] = {content["project"]["name"]: content["project"] for content in contents}
    wanted = ["editables>=0.5"]  # hatchling's own need for an editable install
    queue = [f"kcore[{','.join(extras)}]"]
    for content in contents:
        wanted += content["build-system"]["requires"]
        queue += content["project"]["dependencies"]
    for requirement in queue:  # grows while it is read
        found = REQUIREMENT.match(requirement)
        assert found is not None, requirement
        name, options = found.groups(default="")
        if name not in ours:
            wanted.append(requirement)
            continue
        known = ours[name].get("optional-dependencies", {})
        for extra in filter(None, re.split(r"[,\s]+", options)):
            queue += [r for r in known[extra] if r not in queue]
    return list(dict.fromkeys(wanted))


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1:])))
