"""NVIDIA's libraries acted out on the host: their calls, taken as the manuals say, on real addresses."""

from __future__ import annotations

import ctypes
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace

import numpy as np

from kcore.backend.kernel import Site, kernels_of
from kcore.dtypes import itemsize, numpy_dtype
from kcore.graph.core import Graph, Node
from kcore.graph.op import OPS, In
from kcore_cuda.libraries import cublas, cudnn

#: cudaDataType.
CUDA_TYPES = {2: "float16", 14: "bfloat16", 0: "float32", 1: "float64"}


def strided(address, dims, strides, dtype):
    """The memory at an address as an array; strides in elements."""
    size = 1 + sum((d - 1) * s for d, s in zip(dims, strides, strict=True)) if all(dims) else 0
    raw = (ctypes.c_char * (size * itemsize(dtype))).from_address(address)
    flat = np.frombuffer(raw, numpy_dtype(dtype))
    return np.lib.stride_tricks.as_strided(flat, dims, [s * itemsize(dtype) for s in strides])


class HostArray:
    """An array of the acted backend: NumPy's memory with what kernels ask of an array."""

    def __init__(self, values):
        self.values = np.ascontiguousarray(values)

    @property
    def ptr(self):
        return self.values.ctypes.data

    @property
    def shape(self):
        return self.values.shape

    @property
    def dtype(self):
        return str(self.values.dtype)

    @property
    def nbytes(self):
        return self.values.nbytes


class Memory:
    """A backend as far as scratch memory is concerned: `view` of aligned host memory."""

    def __init__(self, nbytes):
        raw = np.full(nbytes + 512, 0xAB, np.uint8)
        start = -raw.ctypes.data % 256
        self.raw = raw[start : start + nbytes]

    def view(self, storage, offset, shape, dtype):
        nbytes = int(np.prod(shape)) * itemsize(dtype)
        assert offset + nbytes <= self.raw.nbytes, "scratch memory beyond what was asked for"
        array = HostArray(np.zeros(0))
        array.values = self.raw[offset : offset + nbytes].view(numpy_dtype(dtype)).reshape(shape)
        return array


def at_once(stream, work):
    """A stream that never lets anybody wait."""
    work()


class Cublas:
    """cuBLAS: column-major products on host memory, and a log of the calls.

    Args:
        submit: what puts work onto a stream.
    """

    def __init__(self, submit=at_once):
        self.calls = []
        self._submit = submit
        self._stream = 0

    def call(self, name, *given):
        assert len(given) == len(cublas.SIGNATURES[name])
        getattr(self, name)(*given)

    def bound(self, name, *given):
        return partial(self.call, name, *given)

    def cublasCreate_v2(self, address):  # noqa: N802
        self.calls.append(("create",))
        ctypes.c_void_p.from_address(address).value = 7

    def cublasSetStream_v2(self, handle, stream):  # noqa: N802
        self.calls.append(("stream", handle, stream))
        self._stream = stream

    def cublasSetWorkspace_v2(self, handle, address, nbytes):  # noqa: N802
        self.calls.append(("workspace", handle, address, nbytes))

    def cublasSetMathMode(self, handle, mode):  # noqa: N802
        self.calls.append(("math", handle, mode))

    def cublasGemmEx(  # noqa: N802
        self, handle, ta, tb, m, n, k, alpha, a, at, lda, b, bt, ldb, beta, c, ct, ldc, compute, algo
    ):
        self._gemm(handle, ta, tb, m, n, k, alpha, a, at, lda, 0, b, bt, ldb, 0, beta, c, ct, ldc, 0, 1, compute)

    def cublasGemmStridedBatchedEx(  # noqa: N802
        self, handle, ta, tb, m, n, k, alpha, a, at, lda, sa, b, bt, ldb, sb, beta, c, ct, ldc, sc, batch, compute, algo
    ):
        assert batch > 1
        self._gemm(handle, ta, tb, m, n, k, alpha, a, at, lda, sa, b, bt, ldb, sb, beta, c, ct, ldc, sc, batch, compute)

    def _gemm(self, *given):
        self._submit(self._stream, partial(self._compute, *given))

    def _compute(
        self, handle, ta, tb, m, n, k, alpha, a, at, lda, sa, b, bt, ldb, sb, beta, c, ct, ldc, sc, batch, compute
    ):
        assert handle == 7 and at == bt == ct
        dtype = CUDA_TYPES[at]
        assert lda >= (k if ta else m) and ldb >= (n if tb else k) and ldc >= m, "leading dimension too small"
        self.calls.append(("gemm", compute, batch))
        scale = "float64" if compute == cublas.COMPUTE_64F else "float32"
        one, zero = (strided(p, (1,), (1,), scale)[0] for p in (alpha, beta))
        assert (one, zero) == (1, 0)
        for i in range(batch):
            first, second = a + i * sa * itemsize(dtype), b + i * sb * itemsize(dtype)
            # column-major: the element (row, column) lies at row + column * leading
            x = strided(first, (k, m) if ta else (m, k), (1, lda), dtype).astype("float64")
            y = strided(second, (n, k) if tb else (k, n), (1, ldb), dtype).astype("float64")
            z = strided(c + i * sc * itemsize(dtype), (m, n), (1, ldc), dtype)
            z[...] = ((x.T if ta else x) @ (y.T if tb else y)).astype(z.dtype)


class Planned:
    """A planned graph of cuDNN's: executes its description as the frontend's manual says it would."""

    def __init__(self, description, workspace=96, submit=None):
        self.description = description
        self.workspace = workspace
        self._submit = submit or partial(at_once, 0)

    def get_workspace_size(self):
        return self.workspace

    def execute(self, pack, workspace, handle=None):
        assert handle == 11 and sorted(pack) == list(range(1, len(pack) + 1))
        addresses = [pack[i] for i in sorted(pack)]
        numbers = getattr(self.description, "numbers", ())  # of the host, in any place
        assert all(p % 16 == 0 for i, p in enumerate(addresses) if i not in numbers), "cuDNN wants 16-byte alignment"

        def compute():
            strided(workspace, (self.workspace,), (1,), "uint8")[...] = 0xEE
            ACTS[type(self.description).__name__](self.description, addresses)

        self._submit(compute)


def convolve(d, addresses):
    """A convolution, or one of its gradients, tap by tap."""
    tensors = [strided(p, t.dims, t.strides, d.dtype) for p, t in zip(addresses, (*d.operands, d.result), strict=True)]
    named = dict(zip(
        {"conv": "xwy", "conv_input_grad": "ywx", "conv_kernel_grad": "xyw"}[d.op], tensors, strict=True
    ))  # fmt: skip
    result = "xwy"[("conv_input_grad", "conv_kernel_grad", "conv").index(d.op)]
    x, w, y = (np.zeros(named[c].shape) if c == result else named[c].astype("float64") for c in "xwy")
    pads = [(0, 0), (0, 0), *zip(d.before, d.after, strict=True)]
    big = np.pad(x, pads)
    groups = x.shape[1] // w.shape[1]
    ins, outs = w.shape[1], w.shape[0] // groups
    for tap in np.ndindex(*w.shape[2:]):
        where = tuple(
            slice(t * dil, t * dil + (n - 1) * step + 1, step)
            for t, dil, n, step in zip(tap, d.dilation, y.shape[2:], d.steps, strict=True)
        )
        for g in range(groups):
            i, o = slice(g * ins, (g + 1) * ins), slice(g * outs, (g + 1) * outs)
            seen, weights = big[(slice(None), i, *where)], w[(o, slice(None), *tap)]
            if d.op == "conv":
                y[:, o] += np.einsum("nc...,kc->nk...", seen, weights)
            elif d.op == "conv_input_grad":
                big[(slice(None), i, *where)] += np.einsum("nk...,kc->nc...", y[:, o], weights)
            else:
                flat = [a.reshape(*a.shape[:2], -1) for a in (seen, y[:, o])]
                w[(o, slice(None), *tap)] += np.einsum("ncp,nkp->kc", *flat)
    if d.op == "conv_input_grad":
        x = big[tuple(slice(low, n - high) for (low, high), n in zip(pads, big.shape, strict=True))]
    named[result][...] = {"x": x, "w": w, "y": y}[result].astype(named[result].dtype)


def attend(d, addresses):
    """Attention with its statistics, or its gradients from them."""
    forward = [d.query, d.key, d.value]
    extra = [] if d.bias is None else [d.bias]
    if d.backward:
        layout = [*forward, d.out, d.out, d.stats, *extra, *forward]
        dtypes = [d.dtype] * 5 + ["float32"] + [d.dtype] * (3 + len(extra))
    else:
        layout = [*forward, *extra, d.out, d.stats]
        dtypes = [d.dtype] * (4 + len(extra)) + ["float32"]
    arrays = [strided(p, t.dims, t.strides, kind) for p, t, kind in zip(addresses, layout, dtypes, strict=True)]
    q, k, v = (a.astype("float64") for a in arrays[:3])
    scores = d.scale * q @ k.swapaxes(2, 3)
    if extra:
        scores = scores + arrays[6 if d.backward else 3].astype("float64")
    if d.causal:
        scores = np.where(np.tri(*scores.shape[2:], dtype=bool), scores, -np.inf)
    if not d.backward:
        top = scores.max(-1, keepdims=True)
        stats = top + np.log(np.exp(scores - top).sum(-1, keepdims=True))
        arrays[-2][...] = (np.exp(scores - stats) @ v).astype(arrays[-2].dtype)
        arrays[-1][...] = stats
        return
    out, slope, stats = (a.astype("float64") for a in arrays[3:6])
    weights = np.exp(scores - stats)
    along = (slope * out).sum(-1, keepdims=True)
    slopes = weights * (slope @ v.swapaxes(2, 3) - along)
    results = (d.scale * slopes @ k, d.scale * slopes.swapaxes(2, 3) @ q, weights.swapaxes(2, 3) @ slope)
    for target, result in zip(arrays[-3:], results, strict=True):
        target[...] = result.astype(target.dtype)


def normalize(d, addresses):
    """Batch normalization in training, or its gradients; running variances have Bessel's correction."""
    c = (d.channels, "float32")
    image = (d.image, d.dtype)
    if d.backward:
        layout = [image, c, c, c, image, image, c, c]
    else:
        layout = [image, c, c, None, None, c, c, image, c, c, c, c]
    arrays = [
        strided(p, (1,), (1,), "float32")[0] if t is None else strided(p, t[0].dims, t[0].strides, t[1])
        for p, t in zip(addresses, layout, strict=True)
    ]
    axes = tuple(a for a in range(len(d.image.dims)) if a != 1)
    count = np.prod([d.image.dims[a] for a in axes])
    x = arrays[0].astype("float64")
    if d.backward:
        scale, mean, rstd, slope = (a.astype("float64") for a in arrays[1:5])
        normal = (x - mean) * rstd
        dscale, dbias = ((slope * f).sum(axes, keepdims=True) for f in (normal, 1.0))
        results = [scale * rstd * (slope - (dbias + normal * dscale) / count), dscale, dbias]
    else:
        scale, bias, epsilon, momentum, before, before_variance = arrays[1:7]
        mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
        rstd = 1 / np.sqrt(variance + epsilon)
        after = before * (1 - momentum) + mean * momentum
        after_variance = before_variance * (1 - momentum) + variance * count / max(count - 1, 1) * momentum
        results = [(x - mean) * rstd * scale + bias, mean, rstd, after, after_variance]
    for target, result in zip(arrays[-len(results) :], results, strict=True):
        target[...] = result.astype(target.dtype)


ACTS = {"Convolution": convolve, "Attention": attend, "BatchNorm": normalize}


class Cudnn:
    """This package's cuDNN handle, with acted plans."""

    def __init__(self, stream=0, submit=at_once):
        self.handle = 11
        self.plans = {}
        self._submit = partial(submit, stream)

    def plan(self, description, options):
        return self.plans.setdefault((description, options), Planned(description, submit=self._submit))

    call = cudnn.Cudnn.call


class Place:
    """A GPU as far as submissions are concerned."""

    stream = 99
    gpu = SimpleNamespace(capability=(9, 0))

    def working(self):
        return nullcontext()


class Stage:
    """Everything acted, in place of a GPU; install it with `act`."""

    def __init__(self, monkeypatch):
        from kcore_cuda.kernels import attention, contraction, convolution, normalization, splitting
        from kcore_cuda.libraries import cublaslt

        self.library = Cublas()
        self.place = Place()
        monkeypatch.setattr(cublas, "library", lambda: self.library)
        monkeypatch.setattr(cudnn, "library", lambda: SimpleNamespace())
        monkeypatch.setattr(cublaslt, "library", lambda: ModuleNotFoundError("acted without", name="nvmath"))
        self.libraries = SimpleNamespace(cublas=cublas.Cublas(99, (4096, 1 << 20)), cudnn=Cudnn(), cublaslt=None)
        for module in (attention, contraction, convolution, normalization, splitting):
            for name, stand_in in (
                ("place_of", lambda device: self.place),
                ("planned_place", lambda: self.place),
                ("libraries_of", lambda place: self.libraries),
                ("run", self.run),
            ):
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, stand_in)
        self.ran = []
        #: Sites that were left to the generated kernels.
        self.left: list[Site] = []
        below = SimpleNamespace(scratch=None, bind=lambda site: partial(self.left.append, site))
        monkeypatch.setattr(convolution, "generated", lambda node: below)

    def run(self, site, node, inputs, outputs):
        """A generated kernel, by its op's reference."""
        from kcore_cuda.launch import Call

        def compute():
            self.ran.append(node.op.name)
            for array, values in zip(outputs, references(node, [a.values for a in inputs]), strict=True):
                array.values[...] = np.asarray(values).astype(array.values.dtype)

        return Call(self.place, compute, node)

    def act(self, kernel, node, inputs, outputs=None):
        """Bind a kernel of ours to a node, run it, and give the outputs.

        Args:
            kernel: the kernel.
            node: the node.
            inputs: NumPy arrays, or None.
            outputs: arrays to write to; new ones if None.
        """
        assert kernel.supports(node), node
        scratch = kernel.scratch(node) if kernel.scratch else 0
        given = [None if x is None else x if isinstance(x, HostArray) else aligned_copy(x) for x in inputs]
        made = outputs or [aligned_copy(np.full(v.shape, 77, numpy_dtype(v.dtype))) for v in node.outputs]
        memory = Memory(scratch)
        site = Site(
            node, tuple(given), tuple(made), memory.view(None, 0, (scratch,), "uint8"), "cuda:0", (memory, None, 0)
        )
        kernel.bind(site)()
        return [a.values for a in made]


def aligned_copy(values):
    """A copy at an address that is a multiple of 256."""
    values = np.asarray(values)
    raw = np.empty(values.nbytes + 256, np.uint8)
    start = -raw.ctypes.data % 256
    array = HostArray(np.zeros(0))
    array.values = raw[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    array.values[...] = values
    return array


def references(node, values):
    """The outputs of a node by the references of its ops."""
    if node.op.name != "fused":
        result = node.op.fn(*values, **node.attrs)
        return result if isinstance(result, tuple) else (result,)
    body = node.attrs["body"]
    known = dict(zip(body.inputs, values, strict=True))
    for inner in body.nodes:
        operands = [known[v] if v in known else v.constant for v in inner.sources]
        known[inner.outputs[0]] = np.asarray(inner.op.fn(*operands, **inner.attrs)).astype(
            numpy_dtype(inner.outputs[0].dtype)
        )
    return tuple(known[v] for v in body.outputs)


def node_of(name, sample, dtype):
    """A node of an op for one of its samples, and drawn inputs."""
    op, graph, rng = OPS[name], Graph(), np.random.default_rng(7)
    values, arrays = [], []
    for given in sample.inputs:
        if given is None:
            values.append(None)
            arrays.append(None)
            continue
        given = given if isinstance(given, In) else In(given)
        kind = given.dtype or dtype
        drawn = rng.uniform(given.low, given.high, given.shape) if given.value is None else given.value
        arrays.append(np.asarray(drawn).astype(numpy_dtype(kind)))
        values.append(graph.placeholder(given.shape, kind))
    attrs = {**op.defaults, **sample.attrs}
    specs = op.infer(*(None if v is None else v.spec for v in values), **attrs)
    return Node(op, values, attrs, specs), arrays


def kernel_for(name, node, priority=None):
    """Our kernel of an op that takes a node, of a priority if one is given; None if there is none."""
    ours = (k for k in kernels_of("cuda") if k.op == name and k.priority > 0 and priority in (None, k.priority))
    return next((k for k in ours if k.supports(node)), None)
