"""The Python image: what goes into it, and that the same files give the same bytes."""

from __future__ import annotations

import io
import os
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, ImageNotFound
from requests.exceptions import ConnectionError as NoConnectionError

from nunet_dms.errors import EngineUnreachableError, NunetError
from nunet_dms.node.engine import python_image as image


@pytest.mark.parametrize(
    ("listing", "paths"),
    [
        ("\tlinux-vdso.so.1 (0x00007f45271a6000)\n", []),
        ("\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f45)\n", ["libm.so.6"]),
        ("\t/lib64/ld-linux-x86-64.so.2 (0x00007f45)\n", ["ld-linux-x86-64.so.2"]),
        ("\tlibtk8.6.so => not found\n", []),
        ("\tstatically linked\n", []),
        ("/usr/lib/python3.11/lib-dynload/_ssl.so:\n", []),
        ("\t/odd (0xdir)/libx.so (0x00007f45)\n", ["libx.so"]),
    ],
)
def test_ldd_lines_give_the_files_they_name(listing: str, paths: list[str]) -> None:
    assert [path.name for path in image.parse_ldd(listing)] == paths


def test_a_library_under_another_name_keeps_the_path_it_is_loaded_from() -> None:
    listing = "a.so:\n\tlibpython3.11.so.1.0 => /opt/py/bin/../lib/libpython3.11.so.1.0 (0x1)\n"
    assert list(image.parse_ldd(listing)) == [Path("/opt/py/bin/../lib/libpython3.11.so.1.0")]


def test_the_standard_library_comes_without_tests_caches_and_other_peoples_packages(
    tmp_path: Path,
) -> None:
    kept = ["json/__init__.py", "os.py", "lib-dynload/_json.so", "unittest/case.py", "LICENSE.txt"]
    left = [
        *("json/__pycache__/__init__.pyc", "test/test_os.py", "unittest/test/test_case.py"),
        *("site-packages/numpy/__init__.py", "dist-packages/apt.py", "idlelib/idle.py"),
        *("ensurepip/_bundled/pip.whl", "config-3.11-x86_64-linux-gnu/libpython3.11.a"),
        *("lib-dynload/_tkinter.so", "lib-dynload/_testcapi.so", "distutils/wininst.exe"),
    ]
    for name in (*kept, *left):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "sitecustomize.py").symlink_to(tmp_path / "nowhere.py")

    found = {str(path.relative_to(tmp_path)) for path in image.standard_library(tmp_path)}

    assert found == set(kept)


def test_a_virtual_environment_answers_with_the_python_it_is_made_of() -> None:
    interpreter = image.probe(Path(sys.executable))
    assert interpreter.executable.is_relative_to(sys.base_prefix)
    assert interpreter.stdlib == Path(os.__file__).parent
    assert not interpreter.executable.is_relative_to(sys.prefix) or sys.prefix == sys.base_prefix


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, Path]:
    """A pretended Python under a folder that only its owner may read."""
    home = tmp_path / "home"
    for name, mode in (("bin/python3.11", 0o700), ("lib/os.py", 0o600)):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        path.chmod(mode)
    home.chmod(0o700)
    return {f"root/py/{name}": home / name for name in ("bin/python3.11", "lib/os.py")}


def layer_of(files: dict[str, Path]) -> bytes:
    out = io.BytesIO()
    image.write_layer(out, files, Path("/root/py/bin/python3.11"))
    return out.getvalue()


def test_the_same_files_give_the_same_layer_whatever_their_dates_and_order(
    installed: dict[str, Path],
) -> None:
    before = layer_of(installed)
    for path in installed.values():
        os.utime(path, (1, 1))
    assert layer_of(dict(reversed(installed.items()))) == before


def test_another_content_gives_another_layer(installed: dict[str, Path]) -> None:
    before = layer_of(installed)
    installed["root/py/lib/os.py"].write_text("lib/os.pY")
    assert layer_of(installed) != before


def test_everybody_may_read_the_layer_and_only_programs_may_be_run(
    installed: dict[str, Path],
) -> None:
    with tarfile.open(fileobj=io.BytesIO(layer_of(installed))) as tar:
        members = {member.name: member for member in tar}
    modes = {name: oct(member.mode) for name, member in members.items()}
    assert modes["root"] == modes["root/py"] == modes["root/py/bin/python3.11"] == "0o755"
    assert modes["root/py/lib/os.py"] == modes["etc/passwd"] == "0o644"
    assert modes["tmp"] == "0o1777"
    assert {(member.uid, member.gid, member.mtime) for member in members.values()} == {(0, 0, 0)}
    assert members["usr/bin/python3"].linkname == "/root/py/bin/python3.11"


def test_each_folder_comes_before_what_lies_in_it(installed: dict[str, Path]) -> None:
    with tarfile.open(fileobj=io.BytesIO(layer_of(installed))) as tar:
        names = tar.getnames()
    for place, name in enumerate(names):
        parent = str(Path(name).parent)
        assert parent == "." or parent in names[:place]


def test_the_job_user_has_a_name(installed: dict[str, Path]) -> None:
    with tarfile.open(fileobj=io.BytesIO(layer_of(installed))) as tar:
        passwd = tar.extractfile("etc/passwd")
        assert passwd is not None
        assert b"job:x:10001:10001:" in passwd.read()


def test_a_python_that_is_too_big_is_refused(
    installed: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "MAX_LAYER_BYTES", 10)
    with pytest.raises(NunetError, match="cannot build the Python image: 23 bytes of Python"):
        layer_of(installed)


class FakeImages:
    """The engine's image store: `load` counts, `get` knows what was loaded."""

    def __init__(self, layers: list[str] | None = None, error: Exception | None = None) -> None:
        self.layers, self.error, self.loads = layers, error, 0

    def get(self, _tag: str) -> Any:
        if self.error:
            raise self.error
        if self.layers is None:
            raise ImageNotFound("no such image")
        return SimpleNamespace(id="sha256:" + "ab" * 32, attrs={"RootFS": {"Layers": self.layers}})

    def load(self, archive: Any) -> None:
        with tarfile.open(fileobj=archive) as tar:
            manifest = [name for name in tar.getnames() if name == "manifest.json"]
        assert manifest
        self.loads += 1
        self.layers = ["sha256:loaded"]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, installed: dict[str, Path]) -> Any:
    """A client whose Python to copy is the pretended one."""
    monkeypatch.setattr(image, "collect", lambda _interpreter: installed)
    return SimpleNamespace(images=FakeImages())


def test_an_image_that_the_engine_lacks_is_loaded(client: Any) -> None:
    reference = image.build_python_image(client)
    assert reference == "nunet-python@sha256:" + "ab" * 32
    assert client.images.loads == 1


def test_an_image_that_the_engine_has_is_not_sent_again(
    client: Any, installed: dict[str, Path]
) -> None:
    layer = image.hash_of(io.BytesIO(layer_of(installed)))
    assert image.known_image(client, "t", "sha256:" + layer) is None
    client.images.layers = ["sha256:" + layer]
    assert image.known_image(client, "t", "sha256:" + layer) == "sha256:" + "ab" * 32


def test_another_image_under_our_tag_is_replaced(client: Any) -> None:
    client.images.layers = ["sha256:somebody else's"]
    image.build_python_image(client)
    assert client.images.loads == 1


@pytest.mark.parametrize("error", [APIError("no space left"), NoConnectionError("refused")])
def test_an_engine_that_fails_is_unreachable(client: Any, error: Exception) -> None:
    client.images.error = error
    with pytest.raises(EngineUnreachableError, match="cannot load the Python image: "):
        image.build_python_image(client)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["/nowhere/ldd"], "ldd: .*No such file"),
        ([sys.executable, "-c", "import sys; sys.exit('broken python')"], "broken python"),
        ([sys.executable, "-c", "raise SystemExit(3)"], "exit code 3"),
    ],
)
def test_a_program_that_fails_is_named(command: list[str], why: str) -> None:
    with pytest.raises(NunetError, match=f"cannot build the Python image: .*{why}"):
        image.output_of(command)
