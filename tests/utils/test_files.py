"""`get_file`: fetched once, whole and checked; archives that cannot write outside their folder; atomic replacement."""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import subprocess
import sys
import tarfile
import textwrap
import threading
import zipfile

import keras
import pytest

from kcore.utils.archives import extract
from kcore.utils.atomic import replacing
from kcore.utils.files import get_file

CONTENT = bytes(range(256)) * 4096  # 1 MiB


class Site(http.server.BaseHTTPRequestHandler):
    """``/whole`` answers with the content, ``/short`` breaks off after half of it, anything else is not there."""

    def do_GET(self):
        kind = self.path.strip("/").split(".")[0]
        self.server.asked.append(kind)
        if kind not in ("whole", "short"):
            self.send_error(404, "no such file")
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT if kind == "whole" else CONTENT[: len(CONTENT) // 2])

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def site(server):
    server.asked.clear()
    return f"http://127.0.0.1:{server.server_port}"


def test_a_file_is_fetched_once(site, server, tmp_path, capsys):
    digest = hashlib.sha256(CONTENT).hexdigest()
    path = get_file(origin=f"{site}/whole.bin", cache_dir=tmp_path, file_hash=digest)
    assert path == str(tmp_path / "datasets" / "whole.bin")
    assert open(path, "rb").read() == CONTENT
    assert "Downloading data from" in capsys.readouterr().out
    assert get_file(origin=f"{site}/whole.bin", cache_dir=tmp_path, md5_hash=hashlib.md5(CONTENT).hexdigest()) == path
    assert server.asked == ["whole"]
    get_file(origin=f"{site}/whole.bin", cache_dir=tmp_path, force_download=True)
    assert server.asked == ["whole", "whole"]


def test_the_cache_is_keras_s(site, tmp_path):
    ours = get_file("digits.bin", f"{site}/whole.bin", cache_dir=tmp_path, cache_subdir="a/b")
    assert (
        keras.utils.get_file("digits.bin", "http://127.0.0.1:1/none", cache_dir=str(tmp_path), cache_subdir="a/b")
        == ours
    )


def test_a_wrong_file_in_the_cache_is_fetched_again(site, tmp_path, capsys):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "whole.bin").write_bytes(b"old")
    digest = hashlib.sha256(CONTENT).hexdigest()
    path = get_file(origin=f"{site}/whole.bin", cache_dir=tmp_path, file_hash=digest)
    assert open(path, "rb").read() == CONTENT
    assert "fetching it again" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        (
            "whole.bin",
            {"file_hash": "0" * 64},
            ValueError,
            "is damaged or not the file meant: its sha256 is .*, expected 0",
        ),
        ("short.bin", {}, OSError, "short.bin cannot be fetched: .*524288 more expected.* put it at .*/kept.bin"),
        ("none.bin", {}, OSError, "none.bin cannot be fetched: no such file. If you have the file, put it at"),
    ],
)
def test_what_goes_wrong_leaves_the_old_file(site, tmp_path, name, options, error, message):
    folder = tmp_path / "datasets"
    folder.mkdir()
    (folder / "kept.bin").write_bytes(b"old")
    with pytest.raises(error, match=message):
        get_file("kept.bin", f"{site}/{name}", cache_dir=tmp_path, force_download=True, **options)
    assert [(f.name, f.read_bytes()) for f in folder.iterdir()] == [("kept.bin", b"old")]


def test_a_folder_named_from_where_one_is_does_not_change_what_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match=r"^get_file: file:///no/such cannot be fetched: .* at here/datasets/a.npz$"):
        get_file("a.npz", "file:///no/such", cache_dir="here")


def test_offline_says_where_to_put_the_file(tmp_path):
    with pytest.raises(OSError, match=r"http://127.0.0.1:9/a.npz cannot be fetched: .*put it at .*/datasets/a.npz"):
        get_file(origin="http://127.0.0.1:9/a.npz", cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "origin, the address of the file, is missing"),
        ({"origin": "http://x/"}, "does not end in a file name; give one with fname="),
        ({"origin": "http://x/a", "fname": "../a"}, "fname must be a plain name, received '../a'"),
        ({"origin": "http://x/a", "file_hash": "abc"}, "file_hash must be a hexadecimal digest"),
        ({"origin": "http://x/a", "hash_algorithm": "sha265"}, "hash_algorithm must be one of .*sha265"),
        ({"origin": "http://x/a", "extract": True, "archive_format": "rar"}, "archive_format must be"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        get_file(cache_dir=tmp_path, **arguments)
    assert not list(tmp_path.iterdir())


# -- archives --------------------------------------------------------------------------------------------------------


def tar(path, *members):
    with tarfile.open(path, "w:gz") as file:
        for name, kind, value in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(value)
                file.addfile(info, io.BytesIO(value))
            else:
                info.linkname = value
                file.addfile(info)
    return path


@pytest.mark.parametrize("named", [True, False])
def test_an_archive_is_unpacked_where_keras_unpacks_it(tmp_path, named):
    source = tar(tmp_path / "pictures.tar.gz", ("a/b.txt", tarfile.REGTYPE, b"hello"))
    options = {"fname": "pictures.tar.gz"} if named else {}
    folder = get_file(origin=source.as_uri(), cache_dir=tmp_path / "ours", extract=True, **options)
    (tmp_path / "theirs").mkdir()
    theirs = keras.utils.get_file(origin=source.as_uri(), cache_dir=str(tmp_path / "theirs"), extract=True, **options)
    assert os.path.relpath(folder, tmp_path / "ours") == os.path.relpath(theirs, tmp_path / "theirs")
    assert open(f"{folder}/a/b.txt").read() == "hello"
    again = get_file(origin=source.as_uri(), cache_dir=tmp_path / "ours", extract=True, **options)
    assert again == folder


EVIL = {
    "parent": ("../out.txt", tarfile.REGTYPE, b"bad"),
    "absolute": ("/tmp/kcore-out.txt", tarfile.REGTYPE, b"bad"),
    "symbolic link": ("link", tarfile.SYMTYPE, "../.."),
    "absolute link": ("link", tarfile.SYMTYPE, "/etc"),
    "hard link": ("link", tarfile.LNKTYPE, "../out.txt"),
    "pipe": ("pipe", tarfile.FIFOTYPE, ""),
}


@pytest.mark.parametrize("kind", EVIL)
def test_a_tar_that_would_write_outside_is_refused_whole(tmp_path, kind):
    archive = tar(tmp_path / "evil.tar.gz", ("good.txt", tarfile.REGTYPE, b"good"), EVIL[kind])
    with pytest.raises(ValueError, match=r"evil.tar.gz is not unpacked: its (member|link)"):
        extract(archive, tmp_path / "in" / "folder")
    assert sorted(f.name for f in tmp_path.rglob("*")) == ["evil.tar.gz", "in"]


def test_the_tar_attack_works_where_nobody_looks(tmp_path):
    archive = tar(tmp_path / "evil.tar.gz", EVIL["parent"])
    (tmp_path / "folder").mkdir()
    with tarfile.open(archive) as file:
        file.extractall(tmp_path / "folder", filter="fully_trusted")
    assert (tmp_path / "out.txt").exists()


def test_a_symbolic_link_below_a_linked_folder_is_refused(tmp_path):
    members = [("in", tarfile.SYMTYPE, "a/.."), ("in/../../out.txt", tarfile.REGTYPE, b"bad")]
    with pytest.raises(ValueError, match="would land outside"):
        extract(tar(tmp_path / "evil.tar.gz", *members), tmp_path / "folder")


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a\\..\\..\\out.txt", "C:\\out.txt"])
def test_a_zip_that_would_write_outside_is_refused_whole(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as file:
        file.writestr("good.txt", "good")
        file.writestr(name, "bad")
    with pytest.raises(ValueError, match=r"evil.zip is not unpacked: its member"):
        extract(tmp_path / "evil.zip", tmp_path / "folder")
    assert [f.name for f in tmp_path.iterdir()] == ["evil.zip"]


def test_a_zip_that_holds_more_than_the_disk_is_refused(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zeros", bytes(1 << 20))
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(ValueError, match="needs 1048576 bytes, and .* has 1000 left"):
        extract(tmp_path / "bomb.zip", tmp_path / "folder")


def test_a_damaged_archive_leaves_nothing(tmp_path):
    whole = tar(tmp_path / "a.tar.gz", ("a.bin", tarfile.REGTYPE, os.urandom(100_000))).read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="a.tar.gz cannot be unpacked"):
        extract(tmp_path / "a.tar.gz", tmp_path / "folder")
    assert [f.name for f in tmp_path.iterdir()] == ["a.tar.gz"]


def test_what_is_no_archive(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    assert not extract(tmp_path / "a.txt", tmp_path / "folder")
    with pytest.raises(ValueError, match="a_archive is not an archive of the kind tar"):
        (tmp_path / "a").write_text("text")
        get_file(origin=(tmp_path / "a").as_uri(), cache_dir=tmp_path, extract=True, archive_format="tar")


# -- atomic replacement ----------------------------------------------------------------------------------------------


def test_an_error_leaves_the_old_file(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(RuntimeError), replacing(tmp_path / "a") as temporary:
        temporary.write_text("new")
        raise RuntimeError
    assert [(f.name, f.read_text()) for f in tmp_path.iterdir()] == [("a", "old")]


def test_a_killed_process_leaves_the_old_file(tmp_path):
    (tmp_path / "a").write_text("old")
    script = f"""
        import os, signal
        from kcore.utils.atomic import replacing
        with replacing({str(tmp_path / "a")!r}) as temporary:
            temporary.write_text("new")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -9
    assert (tmp_path / "a").read_text() == "old"


def test_permissions_and_links_stay(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(0o640)
    (tmp_path / "link").symlink_to("a")
    with replacing(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "a").read_text() == "new"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_folder_that_is_not_there(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match="a/b cannot be written: there is no folder"),
        replacing(tmp_path / "a" / "b"),
    ):
        pass
