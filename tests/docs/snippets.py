"""Runs the Python blocks of one Markdown file in order, in one namespace: ``python tests/docs/snippets.py README.md``.

A block fenced as ``python`` with prompts is a doctest, one without is a script. Blocks of other kinds are left alone.
"""

from __future__ import annotations

import doctest
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def blocks(text: str) -> Iterator[tuple[int, str]]:
    """The Python blocks of a file, each with the number of lines before it."""
    for found in BLOCK.finditer(text):
        yield text.count("\n", 0, found.start(1)), found.group(1)


def run(path: Path) -> tuple[int, int]:
    """Run the blocks of a file and print what fails; returns how many blocks there were and how many failed."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    count = failed = 0
    for line, source in blocks(path.read_text(encoding="utf-8")):
        count += 1
        failed += not (_examples if ">>> " in source else _script)(path, line, source, namespace)
    return count, failed


def _examples(path: Path, line: int, source: str, namespace: dict[str, Any]) -> bool:
    test = doctest.DocTestParser().get_doctest(source, namespace, path.name, str(path), line)
    results = doctest.DocTestRunner(optionflags=FLAGS).run(test, clear_globs=False)
    namespace.update(test.globs)
    return results.failed == 0


def _script(path: Path, line: int, source: str, namespace: dict[str, Any]) -> bool:
    try:
        exec(compile("\n" * line + source, str(path), "exec"), namespace)  # the repository's own text
    except Exception:
        traceback.print_exc(file=sys.stdout)
        return False
    return True


if __name__ == "__main__":
    blocks_run, blocks_failed = run(Path(sys.argv[1]).resolve())
    print(f"{blocks_run} blocks, {blocks_failed} failed")
    sys.exit(1 if blocks_failed or not blocks_run else 0)
