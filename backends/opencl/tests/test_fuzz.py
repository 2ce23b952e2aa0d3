"""Shapes at the edges of tiles and vectors, always the same ones: NumPy's results in float64 and no stray write."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kcore
from kcore.graph.op import OPS
from kcore.kernels.convolutions import winograd_tiles
from kcore.ops.windows import out_sizes
from kcore.runtime.reference import run_op
from kcore.testing.cases import spec_of
from kcore.testing.compare import check_outputs, difference, tolerance
from kcore.testing.guarded import run_guarded

#: Sizes beside those of tiles, vectors, lines of a cache and work-groups.
EDGES = (1, 2, 3, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 127, 128, 129)
FEW = (1, 2, 3, 5, 15, 16, 17, 31, 32, 33, 49)
#: Most elements of an array.
LIMIT = 1 << 17


@dataclass(frozen=True)
class Call:
    """One op applied to arrays of those shapes.

    Attributes:
        op: its name.
        shapes: of its inputs; values are drawn from [-1, 1).
        attrs: its attributes.
        bias: whether ``relu(y + bias)`` follows, in the same kernel where there is one for that.
        labels: for an op that takes labels behind its first input, how many there are.
    """

    op: str
    shapes: tuple[tuple[int, ...], ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    bias: bool = False
    labels: int = 0

    def arrays(self) -> list[np.ndarray]:
        """The inputs, the same for the same call."""
        rng = np.random.default_rng(7)
        found = [rng.uniform(-1, 1, s).astype("float32") for s in self.shapes]
        if self.op == "where":
            found[0] = found[0] > 0
        return found + [rng.integers(0, self.labels, self.shapes[0][:-1]).astype("int32")] if self.labels else found


def check(device: Any, call: Call) -> None:
    """Run a call on a device between guards, and compare with the op's reference within the op's tolerance."""
    kcore.use_backend(str(device.device))
    op, arrays = OPS[call.op], call.arrays()
    wide = [a.astype("float64") if a.dtype == np.float32 else a for a in arrays]
    wanted = [np.asarray(y) for y in run_op(op, wide, {**op.defaults, **call.attrs})]
    given_arrays = [*arrays, np.linspace(-1, 1, wanted[0].shape[-1], dtype="float32")] if call.bias else arrays

    def run(*xs: Any) -> Any:
        found = op(*xs[: len(arrays)], **call.attrs)
        return OPS["relu"](OPS["add"](found, xs[-1])) if call.bias else found

    results = run_guarded(kcore.function(run).concrete(*given_arrays).program, given_arrays)
    specs = op.infer(*map(spec_of, arrays), **{**op.defaults, **call.attrs})
    specs = specs if isinstance(specs, tuple) and not hasattr(specs, "shape") else (specs,)
    if call.bias:
        relative, absolute = tolerance(op, "float32", arrays, specs)
        wrong = difference(results[0], np.maximum(wanted[0] + given_arrays[-1], 0), relative, absolute)
        complaints = [wrong] if wrong else []
    else:
        complaints = check_outputs(op, arrays, results, specs, wanted)
    assert not complaints, f"{call} on {device.device}: {complaints}"


# -- what is drawn ---------------------------------------------------------------------------------------------------

edges = st.sampled_from(EDGES)
few = st.sampled_from(FEW)


@st.composite
def products(draw: Any) -> Call:
    """Matrix products: all transposes, batches, one term and none, with and without what follows."""
    rows, columns, inner = draw(edges), draw(edges), draw(st.sampled_from((0, *EDGES)))
    across, down = draw(st.booleans()), draw(st.booleans())
    lead = draw(st.sampled_from([((), ()), ((), ()), ((1,), (1,)), ((3,), (3,)), ((2, 1), (3,)), ((3,), ())]))
    a = (*lead[0], *((inner, rows) if across else (rows, inner)))
    b = (*lead[1], *((columns, inner) if down else (inner, columns)))
    return Call("matmul", (a, b), {"transpose_a": across, "transpose_b": down}, bias=draw(st.booleans()))


@st.composite
def convolutions(draw: Any) -> Call:
    """Convolutions and both gradients: padding, strides, dilation, groups, one to three axes."""
    rank = draw(st.sampled_from((1, 2, 2, 2, 3)))
    small = st.integers(1, 3)
    window = tuple(draw(small) for _ in range(rank))
    attrs = {
        "strides": tuple(draw(st.integers(1, 2)) for _ in range(rank)),
        "dilation": tuple(draw(st.integers(1, 2)) for _ in range(rank)),
        "padding": tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(rank)),
    }
    reach = [(w - 1) * d + 1 for w, d in zip(window, attrs["dilation"], strict=True)]
    sizes = [draw(st.integers(1, 6)) for _ in range(rank - 1)] + [draw(few)]
    image = tuple(max(s, r) for s, r in zip(sizes, reach, strict=True))
    channels, filters = draw(few), draw(few)
    groups = draw(st.sampled_from((1, 1, 1, 2, channels)))
    channels, filters = (channels, filters) if groups == 1 else (groups * draw(small), groups * draw(small))
    x, kernel = (draw(small), *image, channels), (*window, channels // groups, filters)
    y = (x[0], *out_sizes(image, window, attrs["strides"], attrs["padding"], attrs["dilation"], "conv"), filters)
    attrs["groups"] = groups
    op = draw(st.sampled_from(("conv", "conv", "conv_input_grad", "conv_kernel_grad")))
    if op == "conv_input_grad":
        return Call(op, (y, kernel), {**attrs, "input_shape": x})
    if op == "conv_kernel_grad":
        return Call(op, (x, y), {**attrs, "kernel_shape": kernel})
    return Call(op, (x, kernel), attrs, bias=draw(st.booleans()))


@st.composite
def tiles(draw: Any) -> Call:
    """3x3 convolutions of whole vectors of channels, and both gradients, as Winograd's tiles take them."""
    width = st.sampled_from((16, 32, 48))
    channels, filters, ends = draw(width), draw(width), st.integers(0, 3)
    padding = ((draw(ends), draw(ends)), (draw(ends), draw(ends)))
    image = tuple(max(draw(st.integers(1, 9)), 3 - sum(p)) for p in padding)
    x, kernel = (draw(st.integers(1, 3)), *image, channels), (3, 3, channels, filters)
    attrs = {"strides": (1, 1), "dilation": (1, 1), "padding": padding, "groups": 1}
    y = (x[0], *out_sizes(image, (3, 3), (1, 1), padding, (1, 1), "conv"), filters)
    op = draw(st.sampled_from(("conv", "conv_input_grad", "conv_kernel_grad")))
    if op == "conv_input_grad":
        return Call(op, (y, kernel), {**attrs, "input_shape": x})
    if op == "conv_kernel_grad":
        return Call(op, (x, y), {**attrs, "kernel_shape": kernel})
    return Call(op, (x, kernel), attrs, bias=draw(st.booleans()))


@st.composite
def reductions(draw: Any) -> Call:
    """Reductions over any axes."""
    shape = draw(st.lists(few, min_size=1, max_size=4).filter(lambda s: prod(s) <= LIMIT))
    axes = draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))
    op = draw(st.sampled_from(("sum", "mean", "max", "min")))
    return Call(op, (tuple(shape),), {"axis": tuple(sorted(axes)), "keepdims": draw(st.booleans())})


@st.composite
def broadcasts(draw: Any) -> Call:
    """Elementwise ops of shapes that are stretched to each other."""
    shape = draw(st.lists(few, min_size=1, max_size=4).filter(lambda s: prod(s) <= LIMIT))
    op = draw(st.sampled_from(("add", "multiply", "maximum", "subtract", "less", "where")))
    shapes = []
    for _ in range(3 if op == "where" else 2):
        kept = [d if draw(st.booleans()) else 1 for d in shape]
        shapes.append(tuple(kept[draw(st.integers(0, len(kept))) :]))
    return Call(op, tuple(shapes))


@st.composite
def rows(draw: Any) -> Call:
    """Ops that work row by row."""
    lead, n = draw(st.lists(few, min_size=1, max_size=2)), draw(edges)
    x = (*lead, n)
    op = draw(st.sampled_from(("softmax", "log_softmax", "layer_norm", "rms_norm", "sparse_softmax_cross_entropy")))
    if op == "sparse_softmax_cross_entropy":
        return Call(op, (x,), labels=n)
    if op == "layer_norm":
        return Call(op, (x, (n,), (n,)), {"epsilon": 1e-3})
    if op == "rms_norm":
        return Call(op, (x, (n,)), {"epsilon": 1e-3})
    return Call(op, (x,), {"axis": (draw(st.integers(0, len(x) - 1)),)})


FAMILIES = {f.__name__: f for f in (products, convolutions, tiles, reductions, broadcasts, rows)}


def fuzz(device: Any, family: str, examples: int) -> None:
    """Check some calls of a family."""

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(FAMILIES[family]())
    def run(call: Call) -> None:
        check(device, call)

    try:
        run()
    finally:
        kcore.use_backend("numpy")


@pytest.mark.parametrize("family", FAMILIES)
def test_shapes_at_edges(device: Any, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if family == "tiles":  # taken by default only where there are many
        monkeypatch.setattr(winograd_tiles, "LEAST", 1)
        monkeypatch.setattr(winograd_tiles, "CHANNELS", 1)
    fuzz(device, family, 25)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
def test_conditions_of_every_dtype(device: Any, dtype: str) -> None:
    kcore.use_backend(str(device.device))
    condition = np.array([0, 1, 2, np.nan if "float" in dtype else 3] * 9).astype(dtype)
    run = kcore.function(lambda c, x: kcore.ops.where(c, x, -x))
    x = np.arange(1, 37, dtype="float32")
    try:
        np.testing.assert_array_equal(run(condition, x).numpy(), np.where(condition, x, -x))
    finally:
        kcore.use_backend("numpy")


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_many_shapes_at_edges(device: Any, family: str) -> None:
    fuzz(device, family, 100)
