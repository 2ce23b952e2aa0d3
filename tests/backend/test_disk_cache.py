"""The index of stored programs: files are not opened again, and whatever befalls it costs time at most."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from kcore.backend import cache
from kcore.backend.cache import Cache
from kcore.backend.disk_cache import FOLDER, INDEX, PROGRAM, DiskCache, digest, evict

ABOUT = {"device": "one", "driver": "1.0"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("KCORE_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("KCORE_NO_CACHE", raising=False)
    monkeypatch.setattr(cache, "_said", False)
    return tmp_path / "one" / FOLDER


@pytest.fixture
def opened(monkeypatch):
    """The names of the programs whose heads were read."""
    names = []
    read = DiskCache._kernels
    monkeypatch.setattr(DiskCache, "_kernels", lambda self, path: (names.append(path.name), read(self, path))[1])
    return names


def fresh(about=ABOUT) -> DiskCache:
    """The programs of the device as a new process has them."""
    return DiskCache(Cache("one"), about)


def fill(*keys: str) -> None:
    """Store a program of one kernel under each key."""
    for key in keys:
        fresh().store({key: f"kernel_{key}"}, key.encode())


def found(*keys: str) -> list[bytes | None]:
    """What a new process gets."""
    programs = fresh()
    return [programs.load(stored) for key in keys for stored in programs.find([key])]


def index(folder):
    """The index file of the one device."""
    (file,) = folder.glob(f"*{INDEX}")
    return file


def test_a_program_is_opened_once_for_its_head_and_then_known_from_the_index(folder, opened):
    fill("a", "b")
    assert found("a", "b") == [b"a", b"b"]
    assert len(opened) == 2
    assert found("a", "b") == [b"a", b"b"]
    assert len(opened) == 2
    fill("c")
    assert found("a", "b", "c") == [b"a", b"b", b"c"]
    assert len(opened) == 3, "only the new one"


def test_what_a_process_stores_it_finds_itself(folder):
    programs = fresh()
    assert programs.find(["a"]) == []
    programs.store({"a": "kernel_a"}, b"a")
    (stored,) = programs.find(["a"])
    assert programs.load(stored) == b"a"


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-3] + b"xyz",
        lambda content: b"x" + content[1:],
        lambda content: digest(b"[]").encode() + b"\n[" + b"]",
        lambda content: digest(b"{}").encode() + b"\n{}",
        lambda content: digest(b"{").encode() + b"\n{",
        lambda content: digest(bytes([255])).encode() + b"\n" + bytes([255]),
    ],
    ids=["empty", "torn", "changed", "other digest", "a list", "nothing in it", "no json", "no text"],
)
def test_a_damaged_index_is_made_anew(folder, opened, damage):
    fill("a", "b")
    found("a")
    whole = index(folder).read_bytes()
    index(folder).write_bytes(damage(whole))
    opened.clear()
    assert found("a", "b") == [b"a", b"b"]
    assert len(opened) == 2
    assert index(folder).read_bytes() == whole


def test_an_index_of_another_device_is_not_used(folder, opened):
    fill("a")
    found("a")
    content = index(folder).read_bytes().partition(b"\n")[2].replace(b'"1.0"', b'"2.0"')
    index(folder).write_bytes(digest(content).encode() + b"\n" + content)
    opened.clear()
    assert found("a") == [b"a"]
    assert len(opened) == 1
    assert json.loads(index(folder).read_bytes().partition(b"\n")[2])["about"]["driver"] == "1.0"


def test_a_program_that_is_gone_is_gone_from_the_index(folder, opened):
    fill("a", "b")
    found("a")
    (file,) = (path for path in folder.glob(f"*{PROGRAM}") if b"kernel_a" in path.read_bytes())
    file.unlink()
    opened.clear()
    assert found("a", "b") == [b"b"]
    assert not opened
    assert b"kernel_a" not in index(folder).read_bytes()


def test_a_program_that_another_process_replaced_is_opened_again(folder, opened):
    fill("a")
    found("a")
    fresh().store({"a": "another_name"}, b"new")
    opened.clear()
    assert found("a") == [b"new"]
    assert len(opened) == 1


def test_a_torn_program_is_not_in_the_index_and_may_be_written_again(folder):
    fill("a", "b")
    (file,) = (path for path in folder.glob(f"*{PROGRAM}") if b"kernel_a" in path.read_bytes())
    file.write_bytes(file.read_bytes()[:30])
    assert found("a", "b") == [b"b"]
    fill("a")
    assert found("a", "b") == [b"a", b"b"]


def test_an_index_that_cannot_be_written_is_done_without_and_not_spoken_of(folder, opened, monkeypatch, recwarn):
    fill("a")

    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        assert found("a") == [b"a"]
        assert found("a") == [b"a"]
    assert len(opened) == 2
    assert not list(recwarn)
    assert [path.suffix for path in folder.iterdir()] == [PROGRAM]


def test_a_folder_where_the_index_should_be_costs_only_time(folder, opened, recwarn):
    fill("a")
    (folder / f"{fresh()._prefix}{INDEX}").mkdir()
    assert found("a") == found("a") == [b"a"]
    assert len(opened) == 2
    assert not list(recwarn)


def test_devices_have_indexes_of_their_own(folder):
    fill("a")
    other = fresh({**ABOUT, "driver": "2.0"})
    other.store({"a": "kernel_a"}, b"other")
    assert found("a") == [b"a"]
    other = fresh({**ABOUT, "driver": "2.0"})
    assert [other.load(s) for s in other.find(["a"])] == [b"other"]
    assert len(list(folder.glob(f"*{INDEX}"))) == 2


def test_threads_that_store_and_read_at_once_leave_a_whole_index(folder):
    def work(i):
        fill(f"k{i}")
        return found(*(f"k{j}" for j in range(8)))

    with ThreadPoolExecutor(4) as pool:
        for i, got in enumerate(pool.map(work, range(8))):
            assert f"k{i}".encode() in got
            assert None not in got
    assert found(*(f"k{j}" for j in range(8))) == [f"k{j}".encode() for j in range(8)]


PROCESS = """
import sys
from kcore.backend.cache import Cache
from kcore.backend.disk_cache import DiskCache
for i in range(30):
    key = sys.argv[1] + str(i)
    about = {"device": "one", "driver": "1.0"}
    DiskCache(Cache("one"), about).store({key: "kernel_" + key}, key.encode())
    programs = DiskCache(Cache("one"), about)
    assert [programs.load(s) for s in programs.find([key])] == [key.encode()], key
"""


def test_two_processes_that_store_and_read_at_once_lose_nothing(folder, opened):
    both = [subprocess.Popen([sys.executable, "-c", PROCESS, name]) for name in "ab"]
    assert [process.wait(60) for process in both] == [0, 0]
    keys = [f"{name}{i}" for name in "ab" for i in range(30)]
    assert found(*keys) == [key.encode() for key in keys]
    opened.clear()
    found("a0")
    assert not opened


def test_the_index_counts_among_what_is_removed_when_not_used_for_longest(folder):
    fill("a", "b")
    found("a")
    for age, file in enumerate(sorted(folder.iterdir(), key=lambda path: path.suffix != INDEX)):
        os.utime(file, (age, age))
    evict(folder, sum(path.stat().st_size for path in folder.glob(f"*{PROGRAM}")))
    assert {path.suffix for path in folder.iterdir()} == {PROGRAM}
    found("a")
    used = index(folder).stat().st_mtime
    os.utime(index(folder), (1, 1))
    found("a")
    assert index(folder).stat().st_mtime >= used, "to read it is to use it"
