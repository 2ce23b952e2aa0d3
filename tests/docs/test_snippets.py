"""Every Python snippet in README, CONTRIBUTING, docs/ and the packages' READMEs does what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNNER = Path(__file__).with_name("snippets.py")
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("backends/*/README.md"),
        *ROOT.glob("plugins/*/README.md"),
    ]
)
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)#?([^)\s]*)\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "page", [p for p in PAGES if "```python" in p.read_text()], ids=lambda p: str(p.relative_to(ROOT))
)
def test_snippets_run(page: Path, tmp_path: Path) -> None:
    # a process of its own: pages register ops, choose backends and set seeds
    result = subprocess.run([sys.executable, str(RUNNER), str(page)], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, f"{page.relative_to(ROOT)}\n{result.stdout[-6000:]}{result.stderr[-2000:]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    missing = [link for link, _ in links(page) if not (page.parent / link).exists()]
    assert not missing, f"{page.relative_to(ROOT)} links to files that are not there: {', '.join(missing)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_to_headings_lead_to_one(page: Path) -> None:
    pages = {link for link, anchor in links(page) if anchor and link.endswith(".md")}
    known = {link: headings((page.parent / link).read_text()) for link in pages}
    missing = [f"{link}#{anchor}" for link, anchor in links(page) if anchor and anchor not in known.get(link, anchor)]
    assert not missing, f"{page.relative_to(ROOT)} links to headings that are not there: {', '.join(missing)}"


def links(page: Path) -> list[tuple[str, str]]:
    """File and heading ('' if none) of every link outside of code."""
    return LINK.findall(FENCED.sub("", page.read_text()))


def headings(text: str) -> set[str]:
    """What GitHub calls the headings of a page in links."""
    found = re.findall(r"^#+ (.*)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}
