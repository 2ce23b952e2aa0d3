"""Names start from the beginning in every test of layers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kcore.naming import reset_names

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def fresh_names():
    reset_names()
