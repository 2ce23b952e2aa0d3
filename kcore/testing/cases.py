"""What the kit runs: every sample of every registered op, in every dtype that op has, with values drawn for it."""

from __future__ import annotations

import fnmatch
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kcore.dtypes import FLOATS, numpy_dtype, standardize_dtype
from kcore.graph.op import OPS, In, Op, Sample, Spec
from kcore.runtime.promote import promoted
from kcore.runtime.reference import run_op

#: Dtypes the kit runs unless it is told others.
DTYPES = ("float32", "float64", "int32", "bool")
#: Families whose ops make sense on integers and truth values; others compute with floats only.
EXACT_FAMILIES = frozenset({"elementwise", "shape", "copy", "reduction", "indexing", "sorting"})


@dataclass(frozen=True, eq=False)
class Case:
    """One sample of one op in one dtype."""

    op: Op
    index: int
    sample: Sample
    dtype: str

    @property
    def id(self) -> str:
        """What ``--case`` selects it by."""
        return f"{self.op.name}:{self.index}:{self.dtype}"

    def arrays(self) -> list[np.ndarray | None]:
        """The sample's inputs, the same in every run."""
        rng = np.random.Generator(np.random.Philox(key=zlib.crc32(f"{self.op.name}:{self.index}".encode())))
        return [None if i is None else _draw(i, self.dtype, rng) for i in self.sample.inputs]

    def describe(self) -> str:
        """The call as one would write it."""
        inputs = ", ".join("None" if a is None else str(spec_of(a)) for a in self.arrays())
        attrs = "".join(f", {k}={v!r}" for k, v in self.attrs.items())
        return f"{self.op.name}({inputs}{attrs})"

    @property
    def attrs(self) -> dict[str, Any]:
        """All attributes, defaults included."""
        return {**self.op.defaults, **self.sample.attrs}

    def specs(self) -> tuple[Spec, ...]:
        """What the op says its outputs are for these inputs, after promotion."""
        return self.op.infer(*_wanted(self.op, self.arrays()), **self.attrs)

    def reference(self) -> list[np.ndarray]:
        """The outputs by the references, floats computed in float64."""
        arrays = self.arrays()
        targets = [None if s is None else s.dtype for s in _wanted(self.op, arrays)]
        wide = [
            None if a is None else a.astype("float64" if t in FLOATS else numpy_dtype(t))
            for a, t in zip(arrays, targets, strict=True)
        ]
        with np.errstate(all="ignore"):
            return [np.asarray(r) for r in run_op(self.op, wide, self.attrs)]


def spec_of(array: np.ndarray) -> Spec:
    """Shape and dtype of a host array."""
    return Spec(array.shape, standardize_dtype(array.dtype))


def _wanted(op: Op, arrays: list[np.ndarray | None]) -> list[Spec | None]:
    targets = promoted(op, arrays)
    return [
        None if a is None else Spec(a.shape, t or standardize_dtype(a.dtype))
        for a, t in zip(arrays, targets, strict=True)
    ]


def _draw(entry: In | tuple[int, ...], dtype: str, rng: np.random.Generator) -> np.ndarray:
    spec = entry if isinstance(entry, In) else In(entry)
    name = spec.dtype or dtype
    if spec.value is not None:
        return np.asarray(spec.value, dtype=numpy_dtype(name))
    uniform = rng.uniform(spec.low, spec.high, spec.shape)
    if name == "bool":
        return np.asarray(uniform > (spec.low + spec.high) / 2)
    if name in FLOATS:
        return np.asarray(uniform, dtype=numpy_dtype(name))
    low, high = int(np.ceil(spec.low)), int(np.floor(spec.high))
    if low > high:  # no integer lies between: the nearest one above
        high = low
    return np.asarray(np.clip(np.floor(uniform), low, high), dtype=numpy_dtype(name))


def load_ops() -> None:
    """Register every op there is, those of plugins included."""
    import kcore.ops  # noqa: F401
    from kcore.plugins import provided

    provided("ops")


def all_ops() -> list[Op]:
    """Every registered op, by name."""
    load_ops()
    return sorted(OPS, key=lambda op: op.name)


def cases(op: Op, dtypes: tuple[str, ...] = DTYPES, select: str | None = None) -> Iterator[Case]:
    """The cases of an op: its samples times the dtypes it computes in.

    Args:
        op: the op.
        dtypes: dtypes to try; a sample that fixes every dtype itself is one case.
        select: a glob over case ids such as ``"softmax:*:float32"``.
    """
    for index, sample in enumerate(op.samples):
        free = [i for i in sample.inputs if i is not None and not (isinstance(i, In) and i.dtype is not None)]
        for dtype in dtypes if free else ("fixed",):
            case = Case(op, index, sample, dtype)
            if (select is None or fnmatch.fnmatchcase(case.id, select)) and _makes_sense(case):
                yield case


def _makes_sense(case: Case) -> bool:
    """Whether an op has values in a dtype: floats always, others where its reference and `infer` agree on them."""
    if case.dtype == "fixed" or case.dtype in FLOATS:
        return case.dtype == "fixed" or case.dtype in case.op.tolerance
    if case.op.family not in EXACT_FAMILIES:
        return False
    try:
        specs, results = case.specs(), case.reference()
    except (TypeError, ValueError):  # NumPy's own refusal: the difference of two bools, say
        return False
    return all(_kind(s.dtype) == _kind(r.dtype.name) or s.dtype in FLOATS for s, r in zip(specs, results, strict=True))


def _kind(dtype: str) -> str:
    return "float" if "float" in dtype else "bool" if dtype == "bool" else "int"
