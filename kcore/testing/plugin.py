"""The pytest plugin of the kit: its options, the backend they name, and the coverage printed at the end.

pytest loads it in every run where kcore is installed, so it does nothing, and imports nothing of kcore's engine, unless
the kit itself is run.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest

_KEY: pytest.StashKey[bool] = pytest.StashKey()
_stack = ExitStack()


def _asked_for(args: list[str]) -> bool:
    return any(a.replace("\\", "/").replace("/", ".").startswith("kcore.testing") for a in map(str, args))


def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """Add the options, only where ``kcore.testing`` is run: other packages have options of these names too."""
    if not _asked_for(args):
        return
    group = parser.getgroup("kcore", "conformance of a kcore backend")
    group.addoption("--backend", default=None, help="the backend to test (default: the one in use)")
    group.addoption("--primitives-only", action="store_true", help="switch the kernels of all composites off")
    group.addoption("--case", default=None, help="only cases like this glob: op:sample:dtype, e.g. 'softmax:*:float32'")
    group.addoption("--dtypes", default=None, help="comma-separated dtypes (default: float32,float64,int32,bool)")
    early_config.stash[_KEY] = True


def pytest_configure(config: pytest.Config) -> None:
    """Choose the backend and switch kernels off, before anything is collected."""
    if _KEY not in config.stash:
        return
    from kcore.backend import use_backend
    from kcore.backend.compile import primitives_only
    from kcore.testing import options

    options.backend = config.getoption("--backend")
    options.primitives_only = config.getoption("--primitives-only")
    options.case = config.getoption("--case")
    if config.getoption("--dtypes"):
        options.dtypes = tuple(config.getoption("--dtypes").split(","))
    if options.backend is not None:
        use_backend(options.backend)
    if options.primitives_only:
        _stack.enter_context(primitives_only())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the checks of an op one behind the other: they share kernels."""
    if _KEY in config.stash:
        items.sort(key=_op_of)


def _op_of(item: Any) -> str:
    call = getattr(item, "callspec", None)  # there is none where a test has no parameters
    return call.params["op"].name if call is not None and "op" in call.params else ""


def pytest_unconfigure(config: pytest.Config) -> None:
    """Undo what the options switched."""
    if _KEY in config.stash:
        _stack.close()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print which ops were covered by what, and why the others are exempt."""
    if _KEY not in config.stash or config.option.collectonly:
        return
    from kcore.testing.coverage import summary

    recorded = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "kcore" and getattr(report, "when", "") == "call"
    ]
    terminalreporter.section("kcore conformance")
    for line in summary(recorded):
        terminalreporter.write_line(line)
