"""The deadline inside, as bytes: what is written beside them is what they are."""

from __future__ import annotations

import platform
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from nunet_dms.node.engine import deadline
from nunet_dms.node.engine.deadline import deadline_program
from nunet_dms.node.engine.profile import ImageDefaults, create_arguments
from nunet_dms.node.engine.types import ContainerSpec

DATA = "\nmask: .quad -1\nlimit: .quad 60, 0\ngrace: .quad 10, 0\n"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_bytes_are_what_an_assembler_makes_of_the_words_beside_them(
    machine: str, tmp_path: Path
) -> None:
    prefix = "" if platform.machine() == machine else f"{machine.replace('_', '-')}-linux-gnu-"
    if shutil.which(f"{prefix}as") is None:
        pytest.skip(f"no assembler for {machine} here")
    _, listing = deadline._MACHINES[machine]
    words = [line[deadline._CODE_COLUMNS :].split("#")[0].strip() for line in listing.splitlines()]
    syntax = ".intel_syntax noprefix\n" if machine == "x86_64" else ""
    source = syntax + "\n".join(words) + DATA
    made = tmp_path / "made.o"
    subprocess.run([f"{prefix}as", "-o", str(made), "-"], input=source.encode(), check=True)
    code = tmp_path / "code"
    subprocess.run(
        [f"{prefix}objcopy", "-O", "binary", "-j", ".text", str(made), str(code)], check=True
    )
    program = deadline_program(60, 10, machine)
    assert program is not None
    assert program[64 + 56 :] == code.read_bytes()


def test_it_is_a_small_executable_that_is_loaded_whole() -> None:
    program = deadline_program(1, 1, "x86_64")
    assert program is not None
    assert len(program) < 400
    assert program[:4] == b"\x7fELF"
    kind, mode, size = struct.unpack_from("<II24xQ", program, 64)
    assert (kind, mode, size) == (1, 5, len(program))


def test_a_machine_without_code_goes_without() -> None:
    assert deadline_program(1, 1, "riscv64") is None


SPEC = ContainerSpec(
    name="n", labels=(), image_id="i", command=(), env=(), nano_cpus=1, ram_mb=64, disk_mb=1,
    user="1:1", inputs=Path("/in"), outputs=Path("/out"), output_folder="/nunet/out",
    deadline=Path("/jobs/1/deadline"),
)  # fmt: skip
BEFORE = ["/dev/nunet-deadline", "/sbin/docker-init", "-s", "--"]


@pytest.mark.parametrize(
    ("command", "image", "run"),
    [
        (("a",), ImageDefaults(), ["a"]),
        (("a",), ImageDefaults(command=("b",)), ["a"]),
        ((), ImageDefaults(command=("b",)), ["b"]),
        (("a",), ImageDefaults(entrypoint=("e", "-x"), command=("b",)), ["e", "-x", "a"]),
        ((), ImageDefaults(entrypoint=("e",), command=("b", "c")), ["e", "b", "c"]),
        ((), ImageDefaults(entrypoint=("e",)), ["e"]),
    ],
)
def test_what_an_image_says_of_its_command_stays(
    command: tuple[str, ...], image: ImageDefaults, run: list[str]
) -> None:
    made = create_arguments(replace(SPEC, command=command), image)
    assert made["entrypoint"] == [*BEFORE, *run]
    assert made["command"] is None
    assert made["pids_limit"] == 258


def test_an_image_without_any_command_is_left_to_fail_as_it_does() -> None:
    made = create_arguments(SPEC, ImageDefaults())
    assert "entrypoint" not in made
    assert made["command"] is None
