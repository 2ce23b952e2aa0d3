"""KCORE_PROFILE writes a trace whose device and host tracks fit, and a table per op."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from kcore.graph.core import Graph, Node
from kcore.graph.op import OPS
from kcore.kernels.report import Row, Step, report
from kcore.kernels.work import flops, label

SCRIPT = """
import kcore, numpy as np
kcore.use_backend("opencl:{wanted}")
model = kcore.Sequential([kcore.Input((16,)), kcore.layers.Dense(8, activation="relu", name="hidden"),
                          kcore.layers.Dense(1, name="last")])
model.compile("sgd", "mse")
model.fit(np.ones((40, 16), "float32"), np.ones((40, 1), "float32"), batch_size=4, verbose=0)
"""


@pytest.fixture
def profiled(device, tmp_path):
    """Train under KCORE_PROFILE: the trace's events and what was printed."""
    wanted = "pocl" if device.place.traits.maker == "pocl" else "intel"
    path = tmp_path / "trace.json"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT.format(wanted=wanted)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "KCORE_PROFILE": str(path)},
    )
    return json.loads(path.read_text())["traceEvents"], done.stderr


def test_the_trace_has_both_tracks_and_the_table_names_layers(profiled):
    events, table = profiled
    spans = [e for e in events if e["ph"] == "X"]
    host, device = ([e for e in spans if e["tid"] == track] for track in (0, 1))
    enqueues = [e for e in host if e["name"].startswith("enqueue ")]
    assert len(enqueues) == len(device) > 50
    for asked, done in zip(enqueues, device, strict=True):
        assert asked["name"] == f"enqueue {done['name']}"
        assert done["ts"] > asked["ts"] - 1000  # the clocks were matched to a millisecond or better
    assert all(a["ts"] + a["dur"] <= b["ts"] + 1 for a, b in zip(device, device[1:], strict=False))
    assert any("hidden" in e["name"] for e in device)
    assert "sequential/hidden: matmul" in table and "GFLOP/s" in table
    assert "transfer: upload" in table and "GB/s" in table
    assert "steps of" in table and "trace in" in table


def test_training_waits_for_nothing_but_a_step_long_ago(profiled):
    events, _ = profiled
    names = {e["name"].split(" ")[0] for e in events if e["ph"] == "X" and e["tid"] == 0}
    assert names <= {"enqueue", "step", "wait", "build"}


def test_the_report_sums_rows_and_tells_a_steps_gaps():
    rows = [Row("dense: matmul", ["a", "b"], arithmetic=4000), Row("transfer: upload", moved=900), Row("never ran")]
    for row, kernel, time in ((rows[0], 0, 1500), (rows[0], 1, 500), (rows[1], 0, 300)):
        row.add(kernel, time)
    steps = [Step(3, 3000, 1000 + i * 10_000, 9000 + i * 10_000, 6000) for i in range(3)]
    lines = report("device", rows, steps)
    assert [line.split("  ")[-1] for line in lines[2:-1]] == ["dense: matmul", "a", "b", "transfer: upload", "all"]
    assert "2 GFLOP/s" in lines[2] and "3.0 GB/s" in lines[5] and "87.0%" in lines[2]
    assert lines[-1] == (
        "3 steps of 3 commands: 10 us from one to the next (median), 6 in commands, 4 between them; "
        "the host enqueues for 3 (1.0 each)"
    )


def test_arithmetic_of_products_and_convolutions():
    graph = Graph()
    x, kernel = graph.placeholder((2, 8, 8, 3), "float32"), graph.placeholder((3, 3, 3, 5), "float32")
    attrs = {"strides": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}
    conv = Node(OPS["conv"], [x, kernel], attrs, [graph.placeholder((2, 6, 6, 5), "float32").spec], path="m/conv")
    assert flops(conv) == 2 * 2 * 36 * 5 * 27
    g = graph.placeholder((2, 6, 6, 5), "float32")
    for op, inputs, out in (("conv_input_grad", [g, kernel], x), ("conv_kernel_grad", [x, g], kernel)):
        assert flops(Node(OPS[op], inputs, attrs, [out.spec])) == flops(conv)
    a, b = graph.placeholder((4, 6), "float32"), graph.placeholder((4, 7), "float32")
    product = Node(
        OPS["matmul"],
        [a, b],
        {"transpose_a": True, "transpose_b": False},
        [graph.placeholder((6, 7), "float32").spec],
    )
    assert flops(product) == 2 * 6 * 7 * 4
    assert flops(Node(OPS["exp"], [a], {}, [a.spec])) == 0
    assert label(conv) == "m/conv: conv"
