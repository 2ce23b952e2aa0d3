"""A generated kernel that does not compile, in words: where, what the compiler said, and the line it means."""

from __future__ import annotations

import re

from kcore.errors import KcoreError

#: ``file:line:column: error: what`` of clang, ``error: file:line:column: what`` of PoCL,
#: and NVRTC's ``file(line): error: what``.
_PLACE = re.compile(r"^.*?[:(](\d+)(?:[:,](\d+))?\)?:\s*(?:fatal )?(?:error:\s*)?(.+)$")


class BuildError(KcoreError):
    """A generated kernel does not compile on a device.

    Attributes:
        device: the device, as text.
        source: the source text.
        log: what the compiler said.
    """

    def __init__(self, device: str, name: str, source: str, log: str):
        self.device = device
        self.source = source
        self.log = log
        lines = [f"kernel {name!r} does not compile on {device}", *_made_for(source), *_quoted(source, log)]
        lines += ["the compiler said:", *(f"  {line}" for line in log.strip().splitlines() or ["nothing"])]
        lines.append("this is an error of kcore or of the driver: please report it with this message")
        super().__init__("\n  ".join(lines))


def _made_for(source: str) -> list[str]:
    """Layers and ops of a kernel, from the comment it begins with."""
    lines = source.splitlines()
    comment = lines[: next((i for i, line in enumerate(lines) if not line.startswith("//")), len(lines))]
    return [f"made for {line[2:].strip()}" for line in comment]


def _quoted(source: str, log: str) -> list[str]:
    """The first line of the source that the compiler complains of, with a mark under the column."""
    text = source.splitlines()
    for said in log.splitlines():
        found = _PLACE.match(said) if "error" in said.lower() else None
        if found is None or not 0 < int(found[1]) <= len(text):
            continue
        line = int(found[1])
        shown = [f"line {line}: {found[3].strip()}", f"  {text[line - 1]}"]
        if found[2]:
            shown.append(f"  {' ' * (int(found[2]) - 1)}^")
        return shown
    return []
