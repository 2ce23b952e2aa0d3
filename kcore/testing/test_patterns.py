"""Every pattern kernel of the backend and its perturbed twins: found where it must be, and never where it must not."""

from __future__ import annotations

import pytest

from kcore.backend import current
from kcore.backend.kernel import Kernel
from kcore.testing import options
from kcore.testing.cases import load_ops
from kcore.testing.patterns import check_pattern

load_ops()
PATTERNS = current().backend.kernels.patterns()
every_pattern = pytest.mark.parametrize("kernel", PATTERNS, ids=[str(k) for k in PATTERNS])


@every_pattern
def test_pattern_has_samples(kernel: Kernel) -> None:
    assert kernel.pattern is not None and kernel.pattern.op.samples, (
        f"pattern kernel {kernel} has no samples: give its Pattern `samples`, one entry per captured input"
    )


@pytest.mark.skipif(options.primitives_only, reason="patterns are switched off")
@every_pattern
def test_pattern_and_its_twins(kernel: Kernel, request: pytest.FixtureRequest) -> None:
    tried = check_pattern(kernel, "float32")
    assert tried, f"pattern kernel {kernel}: no twin could be built"
    request.node.user_properties.append(("kcore", f"pattern|{kernel}|{len(tried)}"))
