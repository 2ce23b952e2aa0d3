"""Every op of the conformance kit on the fake GPU: the first samples, eager and compiled, against the references."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from kcore.testing import checks
from kcore.testing.cases import all_ops, cases

#: Samples of each op; all of them run where there is a GPU.
SAMPLES = 2
FAMILIES = sorted({op.family for op in all_ops()})


@pytest.mark.parametrize("family", FAMILIES)
def test_ops_compute_as_their_references(computing, family):
    failures = []
    for op in all_ops():
        if op.family != family:
            continue
        for case in cases(op, ("float32",)):
            if case.index >= SAMPLES:
                continue
            try:
                with np.errstate(all="ignore"), warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # ops that run on the host are told of
                    for check in (checks.check_eager, checks.check_compiled):
                        for _ in check(case):
                            pass
            except Exception as error:
                failures.append(f"{case.id}: {type(error).__name__}: {error}")
    assert not failures, f"{len(failures)} fail:\n" + "\n".join(failures[:10])
