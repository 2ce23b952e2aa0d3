"""Many kernels are built as one program, and a source that does not compile is named with its layer and line."""

from __future__ import annotations

import warnings

import numpy as np
import pyopencl as cl
import pytest

import kcore
from kcore.backend import dump as dumping
from kcore.backend import programs as building
from kcore.codegen import Argument, Source
from kcore.codegen.joining import MOST, join
from kcore_opencl.errors import BuildError
from kcore_opencl.programs import Programs

HELPER = "float twice(float a)\n{\n    return a * 2.0f;\n}\n"


def source(name: str, value: str, helper: str = HELPER, body: str = "") -> Source:
    """A kernel of one work-item that stores twice a value."""
    text = f"// model/{name}: add\n{helper}\n__kernel void {name}(__global float *y0)\n{{\n{body}"
    text += f"    y0[get_global_id(0)] = twice({value});  // {name}\n}}\n"
    return Source(name, text, (Argument("y0", "output", "float32"),), 1, 1, "opencl")


@pytest.fixture
def programs(device, tmp_path, monkeypatch) -> Programs:
    """Programs of their own, with an empty cache."""
    monkeypatch.setenv("KCORE_CACHE_DIR", str(tmp_path))
    place = device.place
    return Programs(place.context, place.device, place.traits.maker == "pocl")


def result(programs: Programs, place, source: Source) -> float:
    out = np.zeros(1, np.float32)
    buffer = cl.Buffer(place.context, cl.mem_flags.READ_WRITE, 4)
    kernel = programs.kernel(source)
    kernel.set_args(buffer)
    cl.enqueue_nd_range_kernel(place.queue, kernel, (1,), (1,))
    cl.enqueue_copy(place.queue, out, buffer)
    return float(out[0])


def test_sources_share_a_program_and_keep_their_own_results(device, programs):
    sources = [source("first", "1.0f"), source("second", "2.0f"), source("first", "3.0f")]
    assert len({s.key for s in sources}) == 3
    programs.build(sources)
    assert programs.compiled == 3
    assert [result(programs, device.place, s) for s in sources] == [2, 4, 6]
    assert len({id(program) for program, _ in programs._built.values()}) == 1


def test_sources_that_differ_in_names_are_built_once(programs):
    programs.build([source("first", "1.0f"), source("second", "1.0f")])
    assert programs.compiled == 1


def test_kernels_that_are_let_go_are_found_again_and_who_runs_one_keeps_it(device, programs):
    one = source("first", "1.0f")
    kernel = programs.kernel(one)
    programs.release()
    assert not programs._built
    kernel.set_args(buffer := cl.Buffer(device.place.context, cl.mem_flags.READ_WRITE, 4))
    cl.enqueue_nd_range_kernel(device.place.queue, kernel, (1,), (1,))
    out = np.zeros(1, np.float32)
    cl.enqueue_copy(device.place.queue, out, buffer)
    assert out == result(programs, device.place, one) == 2
    assert (programs.compiled, programs.loaded) == (1, 1)


def test_a_cleared_session_lets_compiled_kernels_go_and_models_go_on(intel):
    kcore.use_backend(str(intel.device))
    try:
        model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2)])
        x = np.ones((2, 3), "float32")
        before = model.predict(x, verbose=0)
        kcore.utils.clear_session(free_memory=False)
        assert intel.place.programs._built
        kcore.utils.clear_session()
        assert not intel.place.programs._built
        np.testing.assert_array_equal(model.predict(x, verbose=0), before)
        np.testing.assert_array_equal(model(x), before)
    finally:
        kcore.use_backend("numpy")


def test_what_nobody_asks_for_goes_while_those_who_run_it_keep_it(device, programs, monkeypatch):
    monkeypatch.setattr(building, "HELD", 2)
    place, sources = device.place, [source("first", f"{i}.0f") for i in range(4)]
    out = np.zeros(1, np.float32)
    buffer = cl.Buffer(place.context, cl.mem_flags.READ_WRITE, 4)
    kernel = programs.kernel(sources[0])
    kernel.set_args(buffer)
    for s in (sources[1], sources[2], sources[1], sources[3]):
        programs.build([s])
    assert list(programs._built) == [sources[1].key, sources[3].key]
    cl.enqueue_nd_range_kernel(place.queue, kernel, (1,), (1,))
    cl.enqueue_copy(place.queue, out, buffer)
    assert float(out[0]) == 0 and result(programs, place, sources[2]) == 4
    assert (programs.compiled, programs.loaded) == (4, 1)


def test_a_step_of_more_kernels_than_are_held_has_them_all(programs, monkeypatch):
    monkeypatch.setattr(building, "HELD", 2)
    sources = [source("first", f"{i}.0f") for i in range(5)]
    programs.build(sources)
    assert [programs.find(s)[1] for s in sources] and (programs.compiled, programs.loaded) == (5, 0)


def test_helpers_of_one_name_and_two_meanings_do_not_meet(device, programs):
    other = HELPER.replace("2.0f", "3.0f")
    sources = [source("first", "1.0f"), source("second", "1.0f", other)]
    assert [len(j.sources) for j in join(sources)] == [1, 1]
    programs.build(sources)
    assert [result(programs, device.place, s) for s in sources] == [2, 3]


def test_macros_stay_with_their_source():
    sources = [source("first", "1.0f"), source("second", "SIZE", "#define SIZE 4.0f\n" + HELPER)]
    alone, joined = join(sources)
    assert alone.text == sources[1].text
    assert joined.sources == [sources[0]]


def test_pragmas_do_not_reach_other_sources():
    contracting = source("second", "2.0f", "#pragma OPENCL FP_CONTRACT OFF\n" + HELPER)
    first, second = join([source("first", "1.0f"), contracting])
    assert "FP_CONTRACT" not in first.text
    assert second.text.startswith("#pragma OPENCL FP_CONTRACT OFF\n")


def test_helpers_stand_once_and_comments_are_left_out():
    (joined,) = join([source("first", "1.0f"), source("second", "2.0f")])
    assert joined.text.count("float twice(") == 1
    assert "//" not in joined.text


def test_constants_and_attributes_are_helpers_too():
    helper = "__constant float table[2] = {1.0f, 2.0f};\n__attribute__((always_inline))\n" + HELPER
    (joined,) = join([source("first", "table[0]", helper), source("second", "table[1]", helper)])
    assert joined.text.count("table[2] = {1.0f, 2.0f};") == 1


def test_programs_have_a_bound():
    sources = [source("first", f"{i}.0f") for i in range(MOST + 1)]
    assert [len(j.sources) for j in join(sources)] == [MOST, 1]


def test_a_source_that_does_not_compile_is_named_with_layer_and_line(programs):
    broken = source("dense_add", "1.0f", body="    y0[0] = absent;\n")
    with pytest.raises(BuildError) as caught:
        programs.build([source("first", "1.0f"), broken, source("second", "2.0f")])
    message = str(caught.value)
    assert "kernel 'dense_add' does not compile on" in message
    assert "made for model/dense_add: add" in message
    assert "driver" in message and "absent" in message and "y0[0] = absent;" in message
    assert caught.value.source == broken.text


def test_good_sources_survive_a_bad_neighbour(device, programs):
    good = source("first", "1.0f")
    with pytest.raises(BuildError):
        programs.build([good, source("second", "nothing")])
    assert result(programs, device.place, good) == 2


def test_what_compilers_say_of_good_sources_is_not_heard(programs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        programs.build([source("first", "1.0f", body="    int unused = 1 ? 0 : 1;\n")])


def test_sources_are_dumped_with_an_index(programs, tmp_path, monkeypatch):
    folder = tmp_path / "dumped"
    monkeypatch.setenv(dumping.VARIABLE, str(folder))
    first, second = source("first", "1.0f"), source("second", "2.0f")
    programs.build([first])
    programs.build([second])
    assert (folder / f"first-{first.key[:8]}.cl").read_text() == first.text
    lines = [line.split("\t") for line in (folder / dumping.INDEX).read_text().splitlines()]
    assert lines[0] == ["file", "device", "key", "made for"]
    assert [(line[2], line[3]) for line in lines[1:]] == [
        (first.key, "model/first: add"),
        (second.key, "model/second: add"),
    ]
    assert programs.name in {line[1] for line in lines}


def test_a_folder_that_cannot_be_written_is_an_error(programs, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(dumping.VARIABLE, str(tmp_path / "file"))
    with pytest.raises(dumping.KcoreError, match="KCORE_DUMP_KERNELS"):
        programs.build([source("first", "1.0f")])
