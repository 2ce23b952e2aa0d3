"""Every generated kernel compiles for the GPUs there are: machine code by NVRTC, which needs no GPU.

All are compiled for the oldest architecture, sm_75. For sm_80 and sm_90, where the compiler reads the text alike and
only its last stage differs, the longest kernel of each op is compiled.
"""

from __future__ import annotations

import itertools

import pytest

from kcore.backend.programs import Refused
from kcore.codegen import Source
from kcore.codegen.joining import join
from kcore_cuda.programs import compiled

pytest.importorskip("cupy", reason='no NVRTC; to install it, type: pip install "cupy-cuda13x[ctk]"')

#: Tests that the work is cut into, so that it goes on two cores.
PARTS = {"sm_75": 10, "sm_80": 1, "sm_90": 1}
_sources: list[Source] = []


@pytest.fixture
def sources(request) -> list[Source]:
    """Every kernel, collected once in a process."""
    if not _sources:
        from collecting import all_sources

        request.getfixturevalue("machine")
        _sources.extend(all_sources())
        _sources.sort(key=lambda s: s.name)
    return _sources


def longest(sources: list[Source]) -> list[Source]:
    """The longest kernel of each op."""
    groups = itertools.groupby(sources, lambda s: s.name)
    return [max(group, key=lambda s: len(s.text)) for _, group in groups]


@pytest.mark.parametrize("architecture, part", [(a, part) for a, count in PARTS.items() for part in range(count)])
def test_every_kernel_compiles(sources, monkeypatch, architecture, part):
    import cupy.cuda

    from kcore_cuda import cuda

    monkeypatch.setattr(cuda, "nvrtc", cupy.cuda.nvrtc)
    wanted = sources if architecture == "sm_75" else longest(sources)
    wanted = wanted[part :: PARTS[architecture]]
    assert len(wanted) > 50
    failed = []
    for joined in join(wanted):
        try:
            compiled(joined.text, "kernels", architecture)
        except Refused:
            failed += [f"{s.name}: {why}" for s in joined.sources if (why := _refused(s, architecture))]
    assert not failed, f"{len(failed)} kernels do not compile for {architecture}:\n" + "\n".join(failed[:5])


def _refused(source: Source, architecture: str) -> str:
    try:
        compiled(source.text, source.name, architecture)
    except Refused as refused:
        return refused.log
    return ""
