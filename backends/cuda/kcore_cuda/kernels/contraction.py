"""Matrix products on cuBLAS, and on cuBLASLt where bias and activation can join them."""

from __future__ import annotations

from kcore.backend.kernel import Site, Thunk, kernel
from kcore.graph.core import Node
from kcore.graph.fuse_product import FUSED_PRODUCT
from kcore.kernels import products
from kcore_cuda import settings
from kcore_cuda.kernels.splitting import PRIORITY, Steps, multiplies, rest_of, split, target_of
from kcore_cuda.launch import Call
from kcore_cuda.libraries import cublas, cublaslt, libraries_of
from kcore_cuda.libraries.epilogues import Fused, fused_of
from kcore_cuda.place import place_of

#: Multiply-adds up to which one generated kernel, epilogue and all, is chosen rather than a product and another one.
SMALL = 1 << 18


def supports(node: Node) -> bool:
    """Whether cuBLAS takes the product, and there is enough of it."""
    if not products.supports(node):
        return False
    head = split(node).head
    if head.outputs[0].dtype not in cublas.CUDA_TYPES or any(v.dtype != head.outputs[0].dtype for v in head.sources):
        return False
    gemm = cublas.gemm_of(products.product_of(head))
    work = gemm.m * gemm.n * gemm.k * gemm.batch * len(gemm.starts)
    return gemm.fits and multiplies(head.outputs[0].dtype) and (node.op is not FUSED_PRODUCT or work > SMALL)


def fuses(node: Node) -> Fused | None:
    """What cuBLASLt does of a product and all that follows it in one call; None where it cannot, or is not there."""
    if node.op is not FUSED_PRODUCT or not cublaslt.available():
        return None
    parts = split(node)
    gemm, total = cublas.gemm_of(products.product_of(parts.head)), parts.head.outputs[0]
    if gemm.batch > 1 or len(gemm.starts) > 1 or total.dtype not in cublaslt.DTYPES:
        return None
    fused = fused_of(node)
    wide = fused is not None and (fused.kept, fused.preactivation) != (None, None)
    return None if wide and gemm.ldc % 8 else fused  # which cuBLASLt asks of what it keeps or reads beside


def _scratch(node: Node) -> int:
    return split(node).scratch_bytes


@kernel("matmul", backend="cuda", supports=supports, priority=PRIORITY)
def matmul(site: Site) -> Thunk:
    """One call for each run of the batch."""
    return _product(site)


@kernel(FUSED_PRODUCT.name, backend="cuda", supports=supports, scratch=_scratch, priority=PRIORITY)
def fused_product(site: Site) -> Thunk:
    """One call with its epilogue, or the product and then one generated kernel for all that follows."""
    fused = fuses(site.node)
    return (_fused(site, fused) if fused else None) or _product(site)


def _product(site: Site) -> Thunk:
    place, parts = place_of(site.device), split(site.node)
    a, b = (site.inputs[i].ptr for i in parts.operands if i is not None)
    gemm = cublas.gemm_of(products.product_of(parts.head))
    target = target_of(site, parts)
    calls = libraries_of(place).cublas.gemm(gemm, target.dtype, a, b, target.ptr, settings.tf32())
    return Steps(site, [*(Call(place, call, site.node) for call in calls), *rest_of(site, parts)])


def _fused(site: Site, fused: Fused) -> Thunk | None:
    """The call, or None where cuBLASLt has no algorithm for it, or may not write over what it reads."""
    place, parts = place_of(site.device), split(site.node)
    a, b = (site.inputs[i].ptr for i in parts.operands if i is not None)
    y = site.outputs[fused.result].ptr
    bias = 0 if fused.bias is None else site.inputs[fused.bias].ptr
    kept = 0 if fused.kept is None else site.outputs[fused.kept].ptr
    read = 0 if fused.preactivation is None else site.inputs[fused.preactivation].ptr
    if read == y:
        return None
    gemm = cublas.gemm_of(products.product_of(parts.head))
    dtype = parts.head.outputs[0].dtype
    try:
        call, keeps = libraries_of(place).cublaslt.matmul(
            gemm, dtype, fused.epilogue, a=a, b=b, y=y, bias=bias, aux=kept or read, tf32=settings.tf32()
        )
    except cublaslt.NoAlgorithmError:
        return None
    return Call(place, call, site.node, keeps=[keeps])
