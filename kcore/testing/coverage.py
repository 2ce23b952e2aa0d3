"""The coverage the kit prints: every registered op, by check, and each exemption with its reason."""

from __future__ import annotations

from collections.abc import Sequence

from kcore.backend import selection
from kcore.testing import options
from kcore.testing.cases import all_ops
from kcore.testing.runner import CHECKS, exemption

TITLES = {
    "eager": "values, op by op",
    "compiled": "values, compiled; guards, reuse, aliasing",
    "gradient": "gradients against finite differences",
    "second_gradient": "second derivatives",
}

#: Checks that were not run which are named; more are counted.
SHOWN = 20


def summary(recorded: Sequence[str]) -> list[str]:
    """Lines to print.

    Args:
        recorded: ``"check|op|cases"`` of each test that ran.
    """
    ran: dict[str, dict[str, int]] = {check: {} for check in (*CHECKS, "pattern")}
    for entry in recorded:
        check, name, count = entry.split("|")
        ran[check][name] = int(count)
    ops = all_ops()
    composites = sum(not op.primitive for op in ops)
    mode = ", kernels of composites switched off" if options.primitives_only else ""
    lines = [
        f"backend {selection.current()}{mode}",
        f"{len(ops)} ops registered: {len(ops) - composites} primitives, {composites} composites",
    ]
    missing: list[str] = []
    reasons: dict[tuple[str, str], list[str]] = {}
    for check, title in TITLES.items():
        covered = {name: n for name, n in ran[check].items() if n}
        exempt = 0
        for op in ops:
            if op.name in covered:
                continue
            reason = exemption(op, check)
            if reason is not None:
                exempt += 1
                what = "samples" if not op.samples else "gradients" if "gradient" in check else "values"
                names = reasons.setdefault((what, reason), [])
                if op.name not in names:
                    names.append(op.name)
            else:
                missing.append(f"{op.name} ({check})")
        lines.append(
            f"  {title:44} {len(covered):4} ops, {sum(covered.values()):5} cases; {exempt} exempt, "
            f"{len(ops) - len(covered) - exempt} not run"
        )
    patterns = selection.current().backend.kernels.patterns()
    off = ": switched off" if options.primitives_only else ""
    lines.append(
        f"  {'patterns and their twins':44} {len(ran['pattern']):4} of {len(patterns)} pattern kernels, "
        f"{sum(ran['pattern'].values())} programs{off}"
    )
    lines.append("exempt:")
    for (what, reason), names in sorted(reasons.items()):
        lines.append(f"  from {what}: {reason}: {', '.join(names)}")
    if missing and recorded and options.case is None:
        more = f", and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        lines.append(f"not run: {', '.join(missing[:SHOWN])}{more}")
    return lines
