"""`nunet config`, `nunet resource-config`: settings shown, changed by name or in an editor."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_world import ADDRESS, Said

from nunet_dms import config
from nunet_dms.cardano.address import script_address
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cli import render
from nunet_dms.config_keys import KEYS
from nunet_dms.machine.cpu import CpuFacts
from nunet_dms.machine.memory import MemoryFacts
from nunet_dms.node.journal import Journal
from nunet_dms.node.lock import WorkerLock
from nunet_dms.paths import Paths
from nunet_dms.protocol import strict
from nunet_dms.provider import settings
from tests.unit.provider.doctor_world import INFO

Nunet = Callable[..., Said]

WALLET = PaymentKey.from_seed(bytes(32)).address(0).bech32
MAINNET_WALLET = PaymentKey.from_seed(bytes(32)).address(1).bech32
SCRIPT = script_address(bytes(28), 0).bech32
KEY = "ab" * 32
SHOWN = f"""\
# Where the Oracle answers.
oracle.url = http://127.0.0.1:9980
# Its ticket key (hex). Empty: taken and kept at first contact.
oracle.ticket_key = ""
# Cardano address that is paid for finished jobs.
wallet.address = {ADDRESS}
# CPU for all jobs together, in MHz (cores x rate).
capacity.cpu_mhz = 4000
# RAM for all jobs together, in MiB.
capacity.ram_mb = 2000
# Disk for job folders, in MiB.
capacity.disk_mb = 10000
# Sustained rate of one core, in MHz: turns MHz into shares of cores.
capacity.core_mhz = 2500
# For 1000 MHz during one hour.
price.per_ghz_hour = 1000000
# For 1000 MiB during one hour.
price.per_ram_gb_hour = 250000
# For one GPU during one hour.
price.per_gpu_hour = 10000000
# Hours of the week, in local time: always, never, or mon-fri 18:00-08:00, sat-sun.
availability.hours = always
# Take no new jobs while other programs use more than this share of the CPU; 0: never.
availability.pause_above_percent = 0
# Whether to take jobs while on battery.
availability.on_battery = false
# Policy id of the token (hex). Empty: the network's own.
token.policy = ""
# Its name in hex, 6d4e5458 is mNTX. Empty: the network's own.
token.name = ""
# Its decimals. -1: the network's own.
token.decimals = -1
"""
CPU_BOUNDS = (
    "it must be from 1000 to 9000, which is 10 % to 90 % of this machine's"
    " 10000 MHz (4 cores of 2500 MHz)"
)
RAM_BOUNDS = "it must be from 800 to 7200, which is 10 % to 90 % of this machine's 8000 MB of RAM"


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four cores of 2500 MHz, 8000 MB."""
    monkeypatch.setattr(settings, "read_cpu", lambda: CpuFacts("x", 4, 2500, "here"))
    monkeypatch.setattr(settings, "read_memory", lambda: MemoryFacts(8000, 7000))


def test_show_has_every_key_with_its_value_and_its_comment(nunet: Nunet, onboarded: Paths) -> None:
    assert nunet("config", "show") == Said(0, SHOWN, "")


def test_show_json_is_nested_by_section(nunet: Nunet, onboarded: Paths) -> None:
    assert json.loads(nunet("config", "show", "--json").out) == {
        "schema": "nunet.config/1",
        "oracle": {"url": "http://127.0.0.1:9980", "ticket_key": ""},
        "wallet": {"address": ADDRESS},
        "capacity": {"cpu_mhz": 4000, "ram_mb": 2000, "disk_mb": 10_000, "core_mhz": 2500},
        "price": {
            "per_ghz_hour": 1_000_000,
            "per_ram_gb_hour": 250_000,
            "per_gpu_hour": 10_000_000,
        },
        "availability": {"hours": "always", "pause_above_percent": 0, "on_battery": False},
        "token": {"policy": "", "name": "", "decimals": -1},
    }


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("capacity.cpu_mhz", "4000\n"),
        ("availability.on_battery", "false\n"),
        ("oracle.ticket_key", "\n"),  # empty, so that a shell sees that it is
    ],
)
def test_get_prints_the_bare_value(key: str, text: str, nunet: Nunet, onboarded: Paths) -> None:
    assert nunet("config", "get", key) == Said(0, text, "")


def test_get_json_keeps_the_type(nunet: Nunet, onboarded: Paths) -> None:
    said = nunet("config", "get", "availability.on_battery", "--json")
    assert json.loads(said.out) == {
        "schema": "nunet.config.get/1",
        "key": "availability.on_battery",
        "value": False,
    }


def test_set_says_what_was_and_writes_it(nunet: Nunet, onboarded: Paths) -> None:
    said = nunet("config", "set", "capacity.cpu_mhz", "5000")
    assert said == Said(0, "capacity.cpu_mhz = 5000 (was 4000)\n", "")
    assert config.load(onboarded.config_file).capacity.cpu_mhz == 5000


def test_set_takes_several_pairs(nunet: Nunet, onboarded: Paths) -> None:
    hours = "mon-fri 18:00-08:00, sat-sun"
    said = nunet(
        "config", "set", "availability.hours", hours, "availability.on_battery", "true", "--json"
    )
    assert json.loads(said.out) == {
        "schema": "nunet.config.set/1",
        "changes": [
            {"key": "availability.hours", "value": hours, "was": "always"},
            {"key": "availability.on_battery", "value": True, "was": False},
        ],
        "worker_pid": None,
    }
    assert config.load(onboarded.config_file).availability.hours == hours


@pytest.mark.usefixtures("lock")
def test_a_running_worker_is_said_to_follow(nunet: Nunet, onboarded: Paths) -> None:
    said = nunet("config", "set", "price.per_ghz_hour", "7")
    assert said.out == (
        "price.per_ghz_hour = 7 (was 1000000)\n"
        "the running worker picks this up within a few seconds\n"
    )
    as_json = json.loads(nunet("config", "set", "price.per_ghz_hour", "8", "--json").out)
    assert as_json["worker_pid"] == os.getpid()


@pytest.mark.usefixtures("lock")
def test_what_changes_nothing_is_not_written(nunet: Nunet, onboarded: Paths) -> None:
    before = onboarded.config_file.stat()
    assert nunet("config", "set", "capacity.cpu_mhz", "4000") == Said(0, "nothing changes\n", "")
    after = onboarded.config_file.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            ("capacity.cpu_mzh", "1"),
            "cannot find the key 'capacity.cpu_mzh': there is none of that name\n"
            "       did you mean capacity.cpu_mhz?",
        ),
        (
            ("capacity.cpu_mhz",),
            "cannot set capacity.cpu_mhz: its value is missing\n"
            "       such as: nunet config set capacity.cpu_mhz 5000",
        ),
        (
            ("capacity.cpu_mhz", "4e3"),
            "cannot set capacity.cpu_mhz to '4e3': it must be a whole number",
        ),
        (
            ("availability.on_battery", "yes"),
            "cannot set availability.on_battery to 'yes': it must be true or false",
        ),
        (
            ("availability.pause_above_percent", "101"),
            "cannot use these settings:"
            " [availability] pause_above_percent must be from 0 to 100, not 101",
        ),
        (
            ("availability.hours", "mon 18-20"),
            "cannot use these settings: [availability] hours is no schedule:"
            " '18-20' must be a span of time, such as 18:00-08:00",
        ),
        (("capacity.cpu_mhz", "9001"), f"cannot offer capacity.cpu_mhz 9001: {CPU_BOUNDS}"),
        (("capacity.ram_mb", "799"), f"cannot offer capacity.ram_mb 799: {RAM_BOUNDS}"),
        (
            ("capacity.cpu_mhz", "999", "capacity.ram_mb", "7201", "price.per_ghz_hour", "5"),
            f"cannot offer capacity.cpu_mhz 999: {CPU_BOUNDS};"
            f" cannot offer capacity.ram_mb 7201: {RAM_BOUNDS}",
        ),
        (
            ("wallet.address", "0x" + "1" * 40),
            f"cannot pay to 0x{'1' * 40}: it is an Ethereum address; mNTX is paid on Cardano,"
            " give an address that starts with addr1 or addr_test1",
        ),
        (
            ("wallet.address", WALLET[:-1] + "q"),
            "cannot read the address: the checksum is wrong (a typing mistake?)",
        ),
        (
            ("wallet.address", SCRIPT),
            "cannot pay to a script's address: give that of a wallet whose key you hold",
        ),
        (
            ("oracle.url", "http://oracle.example"),
            "cannot use the Oracle URL 'http://oracle.example':"
            " it must be https, or http to this machine (127.0.0.1)",
        ),
    ],
)
def test_what_will_not_do_is_named_and_nothing_is_written(
    words: tuple[str, ...], problem: str, nunet: Nunet, onboarded: Paths
) -> None:
    before = onboarded.config_file.read_text()
    assert nunet("config", "set", *words) == Said(2, "", f"nunet: {problem}\n")
    assert onboarded.config_file.read_text() == before


def test_a_wallet_of_another_network_than_the_pinned_oracle_s_is_refused(
    nunet: Nunet, onboarded: Paths, journal: Journal
) -> None:
    journal.pin_oracle("http://127.0.0.1:9980", strict.encode(INFO))
    said = nunet("config", "set", "wallet.address", MAINNET_WALLET)
    assert (said.code, said.out) == (2, "")
    assert "another Cardano network than the Oracle's" in said.err
    assert config.load(onboarded.config_file).wallet.address == ADDRESS
    elsewhere = ("oracle.url", "https://oracle.example")  # which may be of that network
    assert nunet("config", "set", "wallet.address", MAINNET_WALLET, *elsewhere).code == 0


@pytest.mark.parametrize("cpu_mhz", ["1000", "9000"])
def test_both_bounds_of_the_share_may_be_offered(
    cpu_mhz: str, nunet: Nunet, onboarded: Paths
) -> None:
    assert nunet("config", "set", "capacity.cpu_mhz", cpu_mhz).code == 0


def test_another_rate_of_a_core_holds_the_cpu_against_the_machine_again(
    nunet: Nunet, onboarded: Paths
) -> None:
    said = nunet("config", "set", "capacity.core_mhz", "1000")
    assert (said.code, said.out) == (2, "")
    assert "cannot offer capacity.cpu_mhz 4000: it must be from 400 to 3600" in said.err


def test_a_capacity_that_stays_is_not_held_against_a_smaller_machine(
    nunet: Nunet, onboarded: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "read_memory", lambda: MemoryFacts(1000, 900))
    assert nunet("config", "set", "capacity.cpu_mhz", "5000").code == 0


def test_memory_that_the_kernel_does_not_tell_cannot_be_offered(
    nunet: Nunet, onboarded: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "read_memory", lambda: MemoryFacts(None, None))  # type: ignore[arg-type]
    said = nunet("config", "set", "capacity.ram_mb", "3000")
    assert said.err == (
        "nunet: cannot check capacity.ram_mb: the kernel does not say how much this machine has\n"
    )


def test_another_oracle_drops_the_key_that_was_pinned(nunet: Nunet, onboarded: Paths) -> None:
    nunet("config", "set", "oracle.ticket_key", KEY)
    said = nunet("config", "set", "oracle.url", "https://oracle.example")
    assert said.out == (
        "oracle.url = https://oracle.example (was http://127.0.0.1:9980)\n"
        f'oracle.ticket_key = "" (was {KEY})\n'
        "the former Oracle's key is dropped, the new one's is pinned at first contact; to name"
        " it yourself: nunet config set oracle.ticket_key KEY\n"
    )
    assert config.load(onboarded.config_file).oracle.ticket_key == ""


def test_another_oracle_with_its_key_is_pinned_by_it(nunet: Nunet, onboarded: Paths) -> None:
    words = ("oracle.url", "https://oracle.example", "oracle.ticket_key", KEY)
    nunet("config", "set", *words)
    assert config.load(onboarded.config_file).oracle == config.OracleConfig(
        url="https://oracle.example", ticket_key=KEY
    )


def test_path_is_known_before_onboarding(nunet: Nunet, home: Paths) -> None:
    assert nunet("config", "path") == Said(0, f"{home.config_file}\n", "")
    assert json.loads(nunet("config", "path", "--json").out)["path"] == str(home.config_file)


@pytest.mark.parametrize(
    "words", [("show",), ("get", "oracle.url"), ("set", "oracle.url", "x"), ("check",)]
)
def test_without_onboarding_the_exit_code_says_so(words: tuple[str, ...], nunet: Nunet) -> None:
    said = nunet("config", *words)
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("nunet: this machine is not onboarded\n")


def test_check_says_ok(nunet: Nunet, onboarded: Paths) -> None:
    nunet("config", "set", "wallet.address", WALLET)
    assert nunet("config", "check") == Said(0, "ok\n", "")
    assert json.loads(nunet("config", "check", "--json").out) == {
        "schema": "nunet.config.check/1",
        "path": str(onboarded.config_file),
        "ok": True,
    }


def test_check_names_every_problem(nunet: Nunet, onboarded: Paths) -> None:
    text = onboarded.config_file.read_text()
    text = text.replace("cpu_mhz = 4000", "cpu_mhz = 0").replace("on_battery", "on_batery")
    onboarded.config_file.write_text(text)
    assert nunet("config", "check") == Said(
        2,
        "",
        f"nunet: cannot use {onboarded.config_file}:"
        " [capacity] cpu_mhz must be from 1 to 10000000, not 0;"
        " [availability] on_batery is unknown (did you mean on_battery?)\n"
        "       to correct it: nunet config edit\n",
    )


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (ADDRESS, WALLET[:-1] + "q", "cannot read the address: the checksum is wrong"),
        (ADDRESS, SCRIPT, "cannot pay to a script's address"),
        ("http://127.0.0.1:9980", "http://far.example", "cannot use the Oracle URL"),
    ],
)
def test_check_finds_what_the_worker_would_stumble_over(
    old: str, new: str, problem: str, nunet: Nunet, onboarded: Paths
) -> None:
    nunet("config", "set", "wallet.address", WALLET)
    text = onboarded.config_file.read_text().replace(ADDRESS, WALLET)
    old = WALLET if old == ADDRESS else old
    onboarded.config_file.write_text(text.replace(old, new))
    said = nunet("config", "check")
    assert (said.code, said.out) == (2, "")
    assert problem in said.err


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Sit at a terminal with an editor that is a line of shell; it gets an option and the copy."""
    monkeypatch.setattr(render, "can_ask", lambda: True)
    copies = tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(copies))
    monkeypatch.delenv("VISUAL", raising=False)

    def use(line: str) -> None:
        program = tmp_path / "my editor"
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(0o755)
        monkeypatch.setenv("EDITOR", f"'{program}' --some-option")

    return use


def copies(home: Paths) -> list[Path]:
    return list((home.config_dir / "copies").iterdir())


def test_what_was_edited_is_written_with_its_comments(
    terminal: Callable[[str], None], nunet: Nunet, onboarded: Paths
) -> None:
    terminal('sed -i "s/ram_mb = 2000/ram_mb = 3000 # more/" "$2"')
    said = nunet("config", "edit")
    assert said == Said(0, "capacity.ram_mb = 3000 (was 2000)\n", "")
    assert "ram_mb = 3000 # more\n" in onboarded.config_file.read_text()
    assert copies(onboarded) == []


def test_an_edit_without_a_change_changes_nothing(
    terminal: Callable[[str], None], nunet: Nunet, onboarded: Paths
) -> None:
    terminal("true")
    before = onboarded.config_file.stat()
    assert nunet("config", "edit") == Said(0, "nothing changes\n", "")
    assert onboarded.config_file.stat().st_ino == before.st_ino
    assert copies(onboarded) == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            'sed -i "s/cpu_mhz = 4000/cpu_mhz = 0/; s/ram_mb = 2000/ram = 1/" "$2"',
            "cannot use {copy}: [capacity] ram is unknown (did you mean ram_mb?);"
            " [capacity] cpu_mhz must be from 1 to 10000000, not 0; [capacity] ram_mb is missing",
        ),
        (
            'sed -i "s/ram_mb = 2000/ram_mb = 7999/" "$2"',
            f"cannot offer capacity.ram_mb 7999: {RAM_BOUNDS}",
        ),
        ('echo "[" >> "$2"', "cannot use {copy}: it is not TOML: "),
        ('printf "\\377" >> "$2"', "cannot use {copy}: byte "),
        ('echo "[" >> "$2"; exit 3', "cannot use what {editor} left: it ended with code 3"),
    ],
)
def test_an_edit_that_will_not_do_leaves_the_original_and_keeps_the_copy(
    line: str, problem: str, terminal: Callable[[str], None], nunet: Nunet, onboarded: Paths
) -> None:
    terminal(line)
    before = onboarded.config_file.read_text()
    said = nunet("config", "edit")
    hint = said.err.splitlines()[-1].strip()
    copy = hint.removeprefix("nothing was changed; your text is kept in ")
    editor = onboarded.config_dir / "my editor"
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"nunet: {problem.format(copy=copy, editor=editor)}")
    assert onboarded.config_file.read_text() == before
    assert [str(each) for each in copies(onboarded)] == [copy]


@pytest.mark.parametrize(
    ("line", "problem"), [("exit 3", "it ended with code 3"), ('rm "$2"', "the file is gone")]
)
def test_a_copy_that_holds_nothing_new_is_not_kept(
    line: str, problem: str, terminal: Callable[[str], None], nunet: Nunet, onboarded: Paths
) -> None:
    terminal(line)
    editor = onboarded.config_dir / "my editor"
    assert nunet("config", "edit") == Said(
        2, "", f"nunet: cannot use what {editor} left: {problem}\n       nothing was changed\n"
    )
    assert copies(onboarded) == []


def test_a_file_that_was_wrong_can_be_mended_by_an_edit(
    terminal: Callable[[str], None], nunet: Nunet, onboarded: Paths
) -> None:
    nunet("config", "set", "wallet.address", WALLET)
    good = onboarded.config_file.read_text()
    onboarded.config_file.write_text(good.replace("cpu_mhz = 4000", "cpu_mhz = 0"))
    terminal('sed -i "s/cpu_mhz = 0/cpu_mhz = 4000/" "$2"')
    said = nunet("config", "edit")
    assert said.code == 0
    assert len(said.out.splitlines()) == len(KEYS)
    assert onboarded.config_file.read_text() == good


def test_what_somebody_else_wrote_during_the_edit_is_not_lost(
    terminal: Callable[[str], None], nunet: Nunet, onboarded: Paths
) -> None:
    terminal(f'sed -i "s/= 2000/= 3000/" "$2"; echo "# theirs" >> "{onboarded.config_file}"')
    said = nunet("config", "edit")
    assert said.err.startswith(
        f"nunet: cannot write {onboarded.config_file}: it was changed in the meantime\n"
    )
    assert onboarded.config_file.read_text().endswith("# theirs\n")
    assert "= 3000" in copies(onboarded)[0].read_text()


@pytest.mark.usefixtures("full_disk")
def test_an_edit_that_finds_no_room_is_kept_in_the_copy(
    terminal: Callable[[str], None], nunet: Nunet, onboarded: Paths
) -> None:
    terminal('sed -i "s/= 2000/= 3000/" "$2"')
    said = nunet("config", "edit")
    (copy,) = copies(onboarded)
    assert said == Said(
        2,
        "",
        f"nunet: cannot write {onboarded.config_file}: No space left on device\n"
        f"       nothing was changed; your text is kept in {copy}\n",
    )
    assert "= 3000" in copy.read_text()


def test_an_edit_during_which_the_settings_go_is_kept_in_the_copy(
    terminal: Callable[[str], None], nunet: Nunet, onboarded: Paths
) -> None:
    terminal(f'sed -i "s/= 2000/= 3000/" "$2"; rm "{onboarded.config_file}"')
    said = nunet("config", "edit")
    assert said.code == 3
    assert said.err.endswith(f"your text is kept in {copies(onboarded)[0]}\n")


def test_a_copy_that_cannot_be_written_is_said_and_does_not_stay(
    terminal: Callable[[str], None], nunet: Nunet, onboarded: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fdopen(descriptor: int, *_: object, **__: object) -> None:
        os.close(descriptor)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    terminal("true")
    monkeypatch.setattr("nunet_dms.cli.editor.os.fdopen", fdopen)
    assert nunet("config", "edit") == Said(
        1,
        "",
        "nunet: cannot write a copy to edit: No space left on device\n"
        "       give another place for it: TMPDIR=DIR nunet config edit\n",
    )
    assert copies(onboarded) == []
    monkeypatch.setattr("tempfile.tempdir", "/no/such/folder")
    assert "to edit: No such file or directory" in nunet("config", "edit").err


def test_the_copy_is_nobody_else_s_to_read(
    terminal: Callable[[str], None], nunet: Nunet, onboarded: Paths
) -> None:
    terminal('echo "[" >> "$2"')
    nunet("config", "edit")
    assert copies(onboarded)[0].stat().st_mode & 0o777 == 0o600


def test_without_a_terminal_there_is_no_edit(nunet: Nunet, onboarded: Paths) -> None:
    assert nunet("config", "edit") == Said(
        2, "", "nunet: cannot edit: there is no terminal\n       type: nunet config set KEY VALUE\n"
    )


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({}, "cannot edit: there is no editor, neither $VISUAL nor $EDITOR nor editor nor vi"),
        ({"VISUAL": "/no/such/one"}, "cannot start the editor /no/such/one: No such file"),
        ({"EDITOR": "vi '"}, "cannot read $EDITOR: No closing quotation"),
    ],
)
def test_an_editor_that_cannot_be_had_is_said(
    variables: dict[str, str],
    problem: str,
    terminal: Callable[[str], None],
    nunet: Nunet,
    onboarded: Paths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    said = nunet("config", "edit")
    assert said.code == 2
    assert said.err.startswith(f"nunet: {problem}")


def test_visual_goes_before_editor_and_vi_is_the_last_resort(
    terminal: Callable[[str], None],
    nunet: Nunet,
    onboarded: Paths,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal("exit 3")
    monkeypatch.setenv("VISUAL", "true")
    assert nunet("config", "edit").out == "nothing changes\n"
    monkeypatch.delenv("VISUAL")
    monkeypatch.delenv("EDITOR")
    (tmp_path / "vi").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert nunet("config", "edit").out == "nothing changes\n"


def test_resource_config_shows_what_is_on_offer(nunet: Nunet, onboarded: Paths) -> None:
    assert nunet("resource-config") == Said(0, "4000 MHz, 2000 MB RAM, 10000 MB disk\n", "")
    assert json.loads(nunet("resource-config", "--json").out) == {
        "schema": "nunet.resource-config/1",
        "cpu_mhz": 4000,
        "ram_mb": 2000,
        "disk_mb": 10_000,
        "core_mhz": 2500,
    }


@pytest.mark.parametrize("names", [("-c", "-m"), ("--cpu", "--memory")])
def test_resource_config_sets_both(names: tuple[str, str], nunet: Nunet, onboarded: Paths) -> None:
    said = nunet("resource-config", names[0], "5000", names[1], "3000")
    assert said == Said(
        0, "capacity.cpu_mhz = 5000 (was 4000)\ncapacity.ram_mb = 3000 (was 2000)\n", ""
    )
    found = config.load(onboarded.config_file).capacity
    assert (found.cpu_mhz, found.ram_mb) == (5000, 3000)


def test_resource_config_writes_neither_if_one_will_not_do(nunet: Nunet, onboarded: Paths) -> None:
    before = onboarded.config_file.read_text()
    said = nunet("resource-config", "--cpu", "5000", "--memory", "7201")
    assert said == Said(2, "", f"nunet: cannot offer capacity.ram_mb 7201: {RAM_BOUNDS}\n")
    assert onboarded.config_file.read_text() == before


def test_resource_config_leaves_what_is_not_named(
    nunet: Nunet, onboarded: Paths, lock: WorkerLock
) -> None:
    said = nunet("resource-config", "-m", "3000")
    assert said.out.splitlines() == [
        "capacity.ram_mb = 3000 (was 2000)",
        "the running worker picks this up within a few seconds",
    ]
