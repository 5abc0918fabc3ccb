"""Everything that can be wrong with settings, keys, clock, Oracle, worker; the old DMS."""

from __future__ import annotations

from dataclasses import replace

from nunet_dms.cardano.address import script_address
from nunet_dms.errors import ExitCode
from nunet_dms.node.rows import HoldCode
from nunet_dms.provider.doctor.clock import ClockFacts
from nunet_dms.provider.doctor.files import FileFacts
from nunet_dms.provider.doctor.listeners import Listener
from nunet_dms.provider.doctor.patient import SettingsFacts
from tests.unit.provider.doctor_changes import (
    ERROR,
    NO_SYSTEMD,
    NOT_ONBOARDED,
    NOTE,
    WARNING,
    WSL2,
    Case,
    all_of,
    files,
    old,
    oracle,
    patient,
    row,
    settings,
    worker,
)
from tests.unit.provider.doctor_world import (
    INFO,
    MAINNET_ADDRESS,
    OTHER_KEY,
    OTHER_WALLET,
    WHERE,
    well,
)

FILES = (
    Case(
        "settings.valid",
        ERROR,
        patient(
            config=SettingsFacts(None, "cannot use it: [price] is wrong", "edit it"), oracle=None
        ),
        "[price] is wrong",
        "edit it",
        ExitCode.USAGE,
    ),
    Case(
        "files.config",
        ERROR,
        files("config_file", mode=0o666),
        "everybody may change /home/ann/.config/config.toml (mode 0666)",
        "chmod o-w /home/ann/.config/config.toml",
        ExitCode.USAGE,
    ),
    Case(
        "files.config",
        ERROR,
        files("config_dir", mode=0o777),
        "everybody may change /home/ann/.config (mode 0777)",
        "chmod o-w /home/ann/.config",
        ExitCode.USAGE,
    ),
    Case(
        "files.config",
        ERROR,
        files("config_file", owner_uid=1001),
        "belongs to user 1001",
        "chown 1000",
        ExitCode.USAGE,
    ),
    Case("files.state_dir", WARNING, files("state_dir", mode=0o755), "0755", "chmod 700"),
    Case(
        "files.state_dir",
        ERROR,
        files("state_dir", owner_uid=0),
        "belongs to user 0, not to ann",
        "chown -R 1000 /home/ann/.state",
        ExitCode.USAGE,
    ),
    Case(
        "files.state_dir",
        ERROR,
        patient(
            files=replace(well().files, state_dir=FileFacts(WHERE.state_dir, problem="cannot look"))
        ),
        "cannot look",
        "sudo nunet doctor",
        ExitCode.USAGE,
    ),
    *(
        Case(f"keys.{name}", ERROR, files(name, **facts), words, cure, ExitCode.USAGE)  # type: ignore[arg-type]
        for name in ("identity", "settlement")
        for facts, words, cure in (
            ({"there": False}, "is missing", "nunet onboard"),
            ({"problem": "cannot read: open", "cure": "chmod 600 it"}, "open", "chmod 600 it"),
            ({"problem": "cannot read: denied"}, "denied", "put your copy back there"),
        )
    ),
    Case(
        "keys.wallet",
        ERROR,
        files("wallet", problem="cannot read: open", cure="chmod 600 it"),
        "open",
        "chmod 600 it",
        ExitCode.USAGE,
    ),
    Case(
        "keys.wallet",
        NOTE,
        files("wallet", key_hash=OTHER_WALLET.key_hash.hex()),
        "is not the one that is paid",
        "nunet config set wallet.address",
    ),
    Case(
        "keys.payee",
        ERROR,
        settings("wallet", address="addr_test1" + "q" * 50),
        "addr_test1",
        "nunet config set wallet.address",
        ExitCode.USAGE,
    ),
    Case(
        "keys.payee",
        ERROR,
        settings("wallet", address=script_address(bytes(28), 0).bech32),
        "cannot pay to a script's address",
        "nunet config set wallet.address",
        ExitCode.USAGE,
    ),
    Case(
        "keys.payee",
        ERROR,
        settings("wallet", address=MAINNET_ADDRESS),
        f"{MAINNET_ADDRESS}: cannot pay to an address of another Cardano network than the Oracle's",
        "nunet config set wallet.address",
        ExitCode.USAGE,
    ),
)
UNSET = patient(clock=ClockFacts(False))
ORACLE = (
    Case("clock.synchronised", WARNING, UNSET, "nothing keeps", "timedatectl set-ntp true"),
    Case("clock.synchronised", WARNING, all_of(UNSET, NO_SYSTEMD), "nothing keeps", "chrony"),
    Case("clock.synchronised", NOTE, all_of(UNSET, WSL2), "may do so", "hwclock -s"),
    Case("clock.synchronised", NOTE, patient(clock=ClockFacts(None)), "cannot be told"),
    Case(
        "oracle.answers",
        ERROR,
        oracle(info=None, problem="cannot reach the Oracle: nothing listens there"),
        "nothing listens there",
        "oracle.url",
        ExitCode.UNREACHABLE,
    ),
    Case(
        "oracle.answers",
        NOTE,
        all_of(NOT_ONBOARDED, oracle(info=None, problem="nothing listens there")),
        "no Oracle answers yet: nothing listens there",
        "nunet oracle serve",
    ),
    Case(
        "oracle.key",
        ERROR,
        oracle(info=replace(INFO, ticket_key=OTHER_KEY)),
        "pinned is",
        "--oracle-key",
        ExitCode.REFUSED,
    ),
    Case(
        "oracle.key",
        ERROR,
        all_of(settings("oracle", ticket_key=""), worker(pinned_key=OTHER_KEY)),
        "pinned is",
        "--oracle-key",
        ExitCode.REFUSED,
    ),
    Case(
        "oracle.key",
        NOTE,
        all_of(settings("oracle", ticket_key=""), worker(pinned_key="")),
        "none is pinned yet",
        "--oracle-key",
    ),
    Case("oracle.warning", NOTE, oracle(info=replace(INFO, warning="no value")), "no value"),
    Case("clock.oracle", NOTE, oracle(ahead_s=None), "does not tell its time"),
    Case("clock.oracle", WARNING, oracle(ahead_s=31), "31 s ahead of", "set-ntp true"),
    Case(
        "clock.oracle",
        ERROR,
        oracle(ahead_s=-61),
        "61 s behind",
        "set-ntp true",
        ExitCode.REFUSED,
    ),
)
OLD_DMS = (
    Case("old_dms.installed", WARNING, old(package="0.4.165"), "0.4.165", "apt remove"),
    Case(
        "old_dms.installed",
        WARNING,
        old(programs=("/usr/bin/nunet",)),
        "/usr/bin/nunet",
        "sudo rm /usr/bin/nunet",
    ),
    Case(
        "old_dms.installed",
        NOTE,
        old(leftovers=("/etc/nunet/nunet.db",)),
        "/etc/nunet/nunet.db",
        "mv /etc/nunet",
    ),
    Case(
        "old_dms.running",
        WARNING,
        old(listeners=(Listener("tcp", 9999, 7, "nunet"),)),
        "nunet (7) listens on TCP port 9999",
        "systemctl disable --now nunet-dms",
    ),
    Case(
        "old_dms.running",
        NOTE,
        old(listeners=(Listener("udp", 9000, 7, "php"), Listener("tcp", 9000))),
        "php (7) listens on UDP port 9000; a process that only root may see listens on TCP port",
        "ss -lntup",
    ),
)
NODE = (
    Case(
        "node.onboarded",
        ERROR,
        NOT_ONBOARDED,
        "not onboarded",
        "nunet onboard",
        ExitCode.NOT_ONBOARDED,
    ),
    Case(
        "node.onboarded",
        ERROR,
        all_of(NOT_ONBOARDED, patient(is_other_scope_onboarded=True)),
        "for yourself",
        "sudo nunet doctor",
        ExitCode.NOT_ONBOARDED,
    ),
    Case(
        "node.journal",
        ERROR,
        worker(problem="cannot use the journal: it is damaged", row=None),
        "it is damaged",
        "nunet worker set-aside",
        ExitCode.UNEXPECTED,
    ),
    Case(
        "node.worker",
        ERROR,
        worker(pid=None, row=None),
        "not running",
        "nunet worker start",
        ExitCode.WORKER_NOT_RUNNING,
    ),
    Case("node.worker", WARNING, worker(row=None), "not said anything yet", "nunet status"),
    Case("node.worker", WARNING, row(heartbeat_s=0), "said nothing for 1800000000 s", "stop"),
    Case("node.version", WARNING, row(version="0.0.9"), "version 0.0.9", "nunet worker stop"),
    Case(
        "node.reach",
        ERROR,
        row(engine_state="no permission", accepting=False),
        "engine: no permission",
        "nunet worker stop",
        ExitCode.UNREACHABLE,
    ),
    *(
        Case(
            "node.takes_jobs",
            NOTE,
            row(accepting=False, hold=code.value, hold_note="its owner wants none"),
            "its owner wants none",
            cure,
        )
        for code, cure in (
            (HoldCode.OFFBOARDING, "nunet resume"),
            (HoldCode.PAUSED, "nunet resume"),
            (HoldCode.OFF_HOURS, "nunet config set availability.hours always"),
            (HoldCode.ON_BATTERY, "nunet config set availability.on_battery true"),
            (HoldCode.OWNER_BUSY, "nunet config set availability.pause_above_percent 0"),
        )
    ),
    Case(
        "node.takes_jobs",
        WARNING,
        row(accepting=False, hold=HoldCode.DISK_LOW.value, hold_note="disk low"),
        "disk low",
        "nunet status",
    ),
    Case("node.takes_jobs", WARNING, row(accepting=False, note="odd"), "odd", "nunet status"),
    Case("node.takes_jobs", WARNING, row(accepting=False, ready=False), "starting", "nunet status"),
)

NODE_CASES = (*FILES, *ORACLE, *OLD_DMS, *NODE)
