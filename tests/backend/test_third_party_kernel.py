"""A kernel from another package takes over by priority, says so in the plan, and clashes loudly."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import ops
from kcore.backend.kernel import kernels_of
from kcore.errors import PluginError
from kcore.plugins import problems

SOURCE = """
    from functools import partial

    import numpy as np

    from kcore.backend.kernel import kernel
    from kcore.plugins import hookimpl

    kcore_contract = 1
    calls = []

    @hookimpl
    def kcore_kernels(backend):
        if backend != "numpy":
            return

        @kernel("matmul", backend="numpy", priority={priority}, supports=supports, package="fast-products")
        def matmul(site):
            a, b, out = *site.inputs, site.outputs[0]

            def run():
                calls.append(out.shape)
                np.einsum("ij,jk->ik", a, b, out=out)

            return run

    def supports(node):
        plain = not (node.attrs["transpose_a"] or node.attrs["transpose_b"])
        return plain and all(len(v.shape) == 2 for v in node.inputs)
"""


@pytest.fixture
def fast_products(install):
    def make(priority):
        install("fast-products", entries={"fast": "fast_products_plugin"},
                files={"fast_products_plugin.py": SOURCE.format(priority=priority)})  # fmt: skip
        kcore.use_backend("numpy")
        import fast_products_plugin

        return fast_products_plugin

    yield make
    table = kernels_of("numpy")
    for kernel in [k for k in table if k.package == "fast-products"]:
        table.remove(kernel)


X, W = np.arange(6, dtype="float32").reshape(2, 3), np.ones((3, 4), "float32")


def test_the_kernel_of_higher_priority_runs_and_the_plan_names_its_package(fast_products):
    plugin = fast_products(10)
    step = kcore.function(lambda x, w: ops.exp(ops.matmul(x, w)))
    plan = str(step.concrete(X, W).plan)
    assert "fast-products:matmul(" in plan and "kcore-numpy:matmul(" not in plan
    np.testing.assert_allclose(step(X, W).numpy(), np.exp(X @ W), rtol=1e-6)
    np.testing.assert_allclose(ops.matmul(X, W).numpy(), X @ W)
    assert plugin.calls == [(2, 4), (2, 4)]


def test_where_it_does_not_support_a_node_the_own_kernel_runs(fast_products):
    plugin = fast_products(10)
    batch = np.ones((2, 3, 3), "float32")
    assert "kcore-numpy:matmul(" in str(kcore.function(lambda x: ops.matmul(x, x)).concrete(batch).plan)
    assert plugin.calls == []


def test_a_lower_priority_leaves_everything_as_it_was(fast_products):
    plugin = fast_products(-1)
    ops.matmul(X, W)
    assert plugin.calls == []


def test_equal_priorities_are_an_error_that_names_both_packages(fast_products):
    with pytest.warns(
        RuntimeWarning, match="two kernels for op 'matmul'.*one from kcore-numpy, one from fast-products"
    ):
        fast_products(0)
    assert any(isinstance(b.error, PluginError) for b in problems())
    np.testing.assert_allclose(ops.matmul(X, W).numpy(), X @ W)
