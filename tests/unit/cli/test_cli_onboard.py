"""`nunet onboard`: what is offered is held against the machine, written once, changed by name."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_world import Said, admit

from nunet_dms import config
from nunet_dms.cardano.address import parse_address, script_address
from nunet_dms.cardano.keys import PaymentKey, read_key_file
from nunet_dms.cardano.network import MAINNET, PREPROD, Network
from nunet_dms.cli import onboard
from nunet_dms.cli.worker import Started, Stopped
from nunet_dms.errors import EngineUnreachableError
from nunet_dms.machine.disk import DiskFacts
from nunet_dms.machine.engine import EngineFacts
from nunet_dms.machine.fingerprint import Fingerprint
from nunet_dms.machine.memory import MemoryFacts
from nunet_dms.machine.network import SpeedFacts
from nunet_dms.node.journal import Journal
from nunet_dms.node.pause import Pause, read_pause, write_pause
from nunet_dms.node.proof import Proof
from nunet_dms.node.proof_values import ProofCheck
from nunet_dms.node.speed_file import read_speed
from nunet_dms.paths import Paths
from nunet_dms.protocol.api import OracleInfo
from nunet_dms.protocol.keys import SigningKey, fingerprint_of, read_signing_key
from nunet_dms.provider import onboarding
from nunet_dms.provider.first_contact import Contact, first_price
from nunet_dms.requester.vault import Cost, Secret
from nunet_dms.requester.wallet import new_wallet
from tests.unit.machine_world import fingerprint, with_card

Nunet = Callable[..., Said]

KEY, OTHER_KEY = (SigningKey(bytes([n] * 32)).public for n in (1, 2))
INFO = OracleInfo(
    version="1",
    network="devnet",
    network_magic=424242,
    network_id=0,
    token_policy="0" * 56,
    token_name="6d4e5458",
    token_decimals=6,
    ticket_key=KEY,
    escrow_key_hash="1" * 56,
    warning="",
)


def info_of(network: Network) -> OracleInfo:
    """What an Oracle of a public network says of itself."""
    return dataclasses.replace(
        INFO,
        network=network.name,
        network_magic=network.magic,
        network_id=network.network_id,
        token_policy=network.asset.policy.hex(),
        token_name=network.asset.name.hex(),
        token_decimals=network.token_decimals,
    )


WALLET = PaymentKey.from_seed(bytes(32)).address(0).bech32
MAINNET_WALLET = PaymentKey.from_seed(bytes(32)).address(1).bech32
SCRIPT = script_address(bytes(28), 0).bech32
OFFER = ("onboard", "--cpu", "4000", "--ram", "2000")


FAST = SpeedFacts(down_kbps=90_000, up_kbps=20_000, measured_s=1)


@dataclasses.dataclass
class World:
    """The machine, the Oracle, the engine and the worker that onboarding meets."""

    info: OracleInfo | None = None
    core_mhz: int | None = 2500
    ram_mb: int | None = 8000
    free_disk_mb: int = 100_000
    speed: SpeedFacts | None = FAST
    escapes: bool = False
    engine_away: bool = False
    asked: list[str] = dataclasses.field(default_factory=list)
    did: list[str] = dataclasses.field(default_factory=list)

    def machine(self, speed: SpeedFacts | None) -> Fingerprint:
        found = fingerprint()
        cpu = dataclasses.replace(found.cpu, core_mhz=self.core_mhz)
        disk = DiskFacts(200_000, self.free_disk_mb)
        memory = MemoryFacts(self.ram_mb, self.ram_mb)
        return dataclasses.replace(found, cpu=cpu, memory=memory, disk=disk, speed=speed)


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Four cores of 2500 MHz, 8000 MB; no Oracle answers; no container or process is started."""
    world = World()

    def ask(url: str) -> Contact:
        world.asked.append(url)
        return Contact(url, world.info, "" if world.info else "nothing listens there")

    def measure(_url: str) -> tuple[SpeedFacts | None, str]:
        world.did.append("measure")
        return world.speed, "" if world.speed else "the line broke"

    def prove(_place: Path) -> Proof:
        world.did.append("prove")
        if world.engine_away:
            raise EngineUnreachableError("cannot reach Docker: no socket")
        check = ProofCheck("memory", not world.escapes, "64 MB", "128 MB", "jobs share the RAM")
        return Proof((check,), 1.0)

    def start(where: Paths) -> Started:
        world.did.append("start")
        return Started(4711, False, "ok", "ok", str(where.worker_log))

    def stop(_: Paths) -> Stopped:
        world.did.append("stop")
        return Stopped(None, 0)

    monkeypatch.setattr(
        onboarding, "take_fingerprint", lambda _at, _now, speed: world.machine(speed)
    )
    monkeypatch.setattr(onboard, "read_cpu", lambda: world.machine(None).cpu)
    monkeypatch.setattr(onboard, "read_memory", lambda: world.machine(None).memory)
    monkeypatch.setattr(onboarding, "ask_oracle", ask)
    monkeypatch.setattr(onboarding, "measure_line", measure)
    monkeypatch.setattr(onboarding, "prove_engine", prove)
    monkeypatch.setattr(onboard, "start_worker", start)
    monkeypatch.setattr(onboard, "stop_worker", stop)
    return world


def nothing_is_written(home: Paths) -> bool:
    return not home.config_file.exists() and not home.state_dir.exists()


def test_two_numbers_are_enough(nunet: Nunet, home: Paths, world: World) -> None:
    said = nunet(*OFFER)
    settings = config.load(home.config_file)
    wallet_file = home.wallets_dir / "provider.skey"
    address = read_key_file(wallet_file).address(0).bech32
    assert said.code == 0
    assert said.out == (
        f"onboarded: 4000 MHz, 2000 MB RAM, 10000 MB disk; settings in {home.config_file}\n"
        f"paid to {address}\n"
        f"its key is {wallet_file}: back it up, whoever has it has the tokens\n"
        f"worker started (process 4711), log in {home.worker_log}\n"
    )
    assert "capacity.cpu_mhz = 4000\n" in said.err
    assert "its key will be pinned at first contact (nothing listens there)" in said.err
    assert settings.wallet.address == address
    assert settings.oracle == config.OracleConfig(url="http://127.0.0.1:9980", ticket_key="")
    assert settings.capacity.core_mhz == 2500
    assert world.asked == ["http://127.0.0.1:9980"]


def test_keys_are_made_once_and_closed_to_others(nunet: Nunet, home: Paths) -> None:
    nunet(*OFFER)
    files = (home.identity_key, home.settlement_key, home.wallets_dir / "provider.skey")
    before = [file.read_bytes() for file in files]
    nunet("onboard", "--cpu", "5000", "--ram", "2000")
    assert [file.read_bytes() for file in files] == before
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert home.state_dir.stat().st_mode & 0o777 == 0o700
    assert len(read_signing_key(home.identity_key).seed) == 32


@pytest.mark.parametrize(
    ("words", "bounds"),
    [
        (("--cpu", "999", "--ram", "2000"), "--cpu 999: it must be from 1000 to 9000"),
        (("--cpu", "9001", "--ram", "2000"), "--cpu 9001: it must be from 1000 to 9000"),
        (("--cpu", "-1", "--ram", "2000"), "--cpu -1: it must be from 1000 to 9000"),
        (("--cpu", "4000", "--ram", "799"), "--ram 799: it must be from 800 to 7200"),
        (("--cpu", "4000", "--ram", "7201"), "--ram 7201: it must be from 800 to 7200"),
        ((*OFFER[1:], "--disk", "90001"), "--disk 90001: it must be from 1 to 90000 MB"),
        ((*OFFER[1:], "--disk", "0"), "--disk 0: it must be from 1 to 90000 MB"),
        ((*OFFER[1:], "--core-mhz", "-5"), "--core-mhz -5: it must be from 1 to 100000"),
        ((*OFFER[1:], "--core-mhz", "0"), "--core-mhz 0: it must be from 1 to 100000"),
        ((*OFFER[1:], "--core-mhz", "9" * 25), "it must be from 1 to 100000"),
        ((*OFFER[1:], "--core-mhz", "600"), "--cpu 4000: it must be from 240 to 2160"),
    ],
)
def test_what_the_machine_does_not_have_is_refused_with_both_bounds(
    words: tuple[str, ...], bounds: str, nunet: Nunet, home: Paths
) -> None:
    said = nunet("onboard", *words)
    assert (said.code, said.out) == (2, "")
    assert bounds in said.err
    assert nothing_is_written(home)


@pytest.mark.parametrize(("cpu", "ram"), [("1000", "800"), ("9000", "7200")])
def test_both_bounds_are_included(cpu: str, ram: str, nunet: Nunet) -> None:
    assert nunet("onboard", "--cpu", cpu, "--ram", ram).code == 0


def test_a_machine_that_hides_its_rate_must_be_told_it(
    nunet: Nunet, home: Paths, world: World
) -> None:
    world.core_mhz = None
    said = nunet(*OFFER)
    assert said.code == 2
    assert "--core-mhz 2400" in said.err
    assert nothing_is_written(home)
    assert nunet(*OFFER, "--core-mhz", "3000").code == 0
    assert config.load(home.config_file).capacity.core_mhz == 3000


def test_little_disk_is_no_obstacle_and_half_of_it_is_offered(
    nunet: Nunet, home: Paths, world: World
) -> None:
    world.free_disk_mb = 12_000
    assert nunet(*OFFER).code == 0
    assert config.load(home.config_file).capacity.disk_mb == 6000


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--wallet", "0x" + "5" * 40), "it is an Ethereum address"),
        (("--wallet", "addr_test1qq"), "cannot read the address"),
        (("--wallet", SCRIPT), "cannot pay to a script's address"),
        (("--oracle-key", "xyz"), "[oracle] ticket_key must be empty, or 32 bytes"),
        (("--oracle", "nonsense"), "[oracle] url must be an http or https address"),
    ],
)
@pytest.mark.parametrize("info", [None, INFO])
def test_a_wrong_wallet_key_or_url_is_refused_before_anything_is_written(
    words: tuple[str, ...], why: str, info: OracleInfo | None,
    nunet: Nunet, home: Paths, world: World,
) -> None:  # fmt: skip
    world.info = info
    said = nunet(*OFFER, *words)
    assert (said.code, said.out) == (2, "")
    assert why in said.err
    assert nothing_is_written(home)


def test_a_given_wallet_is_used_and_none_is_made(nunet: Nunet, home: Paths) -> None:
    said = json.loads(nunet(*OFFER, "--wallet", WALLET, "--json").out)
    assert (said["wallet"], said["wallet_file"]) == (WALLET, "")
    assert not home.wallets_dir.exists()


def test_an_encrypted_wallet_of_the_provider_s_is_paid_and_no_other_made(
    nunet: Nunet, home: Paths
) -> None:
    cheap = Cost(passes=1, memory_bytes=8192)
    secret = Secret("words", bytes(32))
    kept = new_wallet(home.wallets_dir, "provider", secret, "correct horse", cheap)
    said = json.loads(nunet(*OFFER, "--json").out)
    assert (said["wallet"], said["wallet_file"]) == (kept.address(0).bech32, str(kept.file))
    assert [path.name for path in home.wallets_dir.iterdir()] == ["provider.wallet"]


def test_a_key_that_lies_here_for_another_address_is_not_called_its_key(
    nunet: Nunet, home: Paths
) -> None:
    nunet(*OFFER)
    said = json.loads(nunet(*OFFER, "--wallet", WALLET, "--json").out)
    assert said["wallet_file"] == ""
    assert (home.wallets_dir / "provider.skey").exists()


def test_a_wallet_of_another_network_than_the_oracle_s_is_refused(
    nunet: Nunet, home: Paths, world: World
) -> None:
    assert nunet(*OFFER, "--wallet", MAINNET_WALLET, "--no-start").code == 0
    world.info = INFO
    said = nunet(*OFFER)  # kept from before, and wrong as is now known
    assert said.code == 2
    assert "another Cardano network than the Oracle's" in said.err
    assert config.load(home.config_file).wallet.address == MAINNET_WALLET


def test_a_new_wallet_is_of_the_oracle_s_network(nunet: Nunet, home: Paths, world: World) -> None:
    world.info = info_of(MAINNET)
    nunet(*OFFER)
    assert parse_address(config.load(home.config_file).wallet.address).network_id == 1


def test_an_oracle_with_a_token_of_its_own_making_is_refused_before_anything_is_written(
    nunet: Nunet, home: Paths, world: World
) -> None:
    world.info = dataclasses.replace(info_of(PREPROD), token_policy="ab" * 28)
    said = nunet(*OFFER)
    assert said.code == 7
    assert "is not what preprod pays with" in said.err
    assert "[token] in config.toml" in said.err
    assert not home.config_file.exists()


def test_onboarding_again_keeps_the_token_that_the_owner_chose(
    nunet: Nunet, home: Paths, world: World
) -> None:
    world.info = INFO
    nunet(*OFFER)
    assert nunet("config", "set", "token.policy", INFO.token_policy).code == 0
    assert nunet("onboard", "--cpu", "4000", "--ram", "2100").code == 0
    assert config.load(home.config_file).token.policy == INFO.token_policy
    assert nunet("config", "set", "token.policy", "ab" * 28).code == 0
    assert nunet("onboard", "--cpu", "4000", "--ram", "2200").code == 7


def test_an_oracle_that_answers_is_pinned_with_its_fingerprint_shown(
    nunet: Nunet, home: Paths, world: World
) -> None:
    world.info = dataclasses.replace(INFO, warning="its tokens have\x1b no value")
    said = nunet(*OFFER)
    assert f"has the key {fingerprint_of(KEY)}: pinned\n" in said.err
    assert "its tokens have\\x1b no value\n" in said.err
    assert config.load(home.config_file).oracle.ticket_key == KEY


@pytest.mark.parametrize("given", [True, False])
def test_an_oracle_with_another_key_than_the_pinned_one_is_refused(
    given: bool, nunet: Nunet, home: Paths, world: World
) -> None:
    world.info = INFO
    assert nunet(*OFFER).code == 0
    written = home.config_file.read_text()
    world.info = INFO if given else dataclasses.replace(INFO, ticket_key=OTHER_KEY)
    said = nunet(*OFFER, *(("--oracle-key", OTHER_KEY) if given else ()))
    assert said.code == 7
    assert fingerprint_of(KEY) in said.err
    assert fingerprint_of(OTHER_KEY) in said.err
    assert home.config_file.read_text() == written


def test_another_oracle_is_pinned_anew(nunet: Nunet, home: Paths, world: World) -> None:
    world.info = INFO
    nunet(*OFFER)
    world.info = dataclasses.replace(INFO, ticket_key=OTHER_KEY)
    assert nunet(*OFFER, "--oracle", "https://other.example").code == 0
    assert config.load(home.config_file).oracle.ticket_key == OTHER_KEY


def test_a_key_given_beforehand_is_pinned_without_an_answer(nunet: Nunet, home: Paths) -> None:
    said = nunet(*OFFER, "--oracle-key", KEY.upper(), "--json")
    assert json.loads(said.out)["oracle_fingerprint"] == fingerprint_of(KEY)
    assert config.load(home.config_file).oracle.ticket_key == KEY


@pytest.mark.parametrize(
    ("words", "variable", "url"),
    [
        (("--oracle", "https://a.example"), "https://b.example", "https://a.example"),
        ((), "https://b.example", "https://b.example"),
        ((), "", "http://127.0.0.1:9980"),
    ],
)
def test_the_oracle_is_as_given_else_from_the_environment_else_loopback(
    words: tuple[str, ...], variable: str, url: str,
    nunet: Nunet, home: Paths, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("NUNET_ORACLE", variable)
    nunet(*OFFER, *words)
    assert config.load(home.config_file).oracle.url == url


@pytest.mark.parametrize(("network", "price"), [("devnet", 1_000_000), ("preprod", 1)])
def test_the_first_price_is_one_token_of_the_oracle_s_network(
    network: str, price: int, nunet: Nunet, home: Paths, world: World
) -> None:
    world.info = INFO if network == "devnet" else info_of(PREPROD)
    assert nunet(*OFFER).code == 0
    assert config.load(home.config_file).price.per_ghz_hour == price


@pytest.mark.parametrize(("decimals", "price"), [(6, 1_000_000), (0, 1), (18, 10**12)])
def test_the_first_price_is_one_token_whatever_its_decimals(decimals: int, price: int) -> None:
    found = first_price(dataclasses.replace(INFO, token_decimals=decimals))
    assert found.per_ghz_hour == price
    assert found.per_ram_gb_hour >= 1
    assert found.per_gpu_hour == min(10 * price, 10**12)


def test_onboarding_again_shows_and_makes_only_what_changes(
    nunet: Nunet, home: Paths, world: World
) -> None:
    nunet(*OFFER, "--disk", "5000", "--wallet", WALLET, "--oracle", "https://a.example")
    path = home.config_file
    path.write_text(path.read_text().replace("per_ghz_hour = 1000000", "per_ghz_hour = 9 # mine"))
    world.core_mhz = 2612  # as a clock that goes up and down would have it
    said = nunet("onboard", "--cpu", "5000", "--ram", "2000")
    changed = [line for line in said.err.splitlines() if " = " in line]
    assert changed == ["capacity.cpu_mhz = 5000 (was 4000)"]
    settings = config.load(path)
    assert dataclasses.replace(settings.capacity, cpu_mhz=0) == config.CapacityConfig(
        cpu_mhz=0, ram_mb=2000, disk_mb=5000, core_mhz=2500
    )
    assert (settings.wallet.address, settings.price.per_ghz_hour) == (WALLET, 9)
    assert "per_ghz_hour = 9 # mine" in path.read_text()
    assert settings.oracle.url == "https://a.example"


def test_a_worker_is_restarted_only_for_new_settings(nunet: Nunet, world: World) -> None:
    nunet(*OFFER)
    world.did.clear()
    assert "nothing changes\n" in nunet(*OFFER).err
    assert world.did == ["prove", "start"]
    nunet("onboard", "--cpu", "5000", "--ram", "2000")
    assert world.did == ["prove", "start", "prove", "stop", "start"]


def test_no_start_writes_the_settings_only(nunet: Nunet, home: Paths, world: World) -> None:
    said = nunet(*OFFER, "--no-start")
    assert said.out.endswith("to start: nunet worker start\n")
    assert world.did == []
    assert home.config_file.exists()


@pytest.mark.parametrize("words", [(), ("--no-start",)])
def test_a_state_folder_that_cannot_be_made_is_one_line(
    words: tuple[str, ...], nunet: Nunet, home: Paths
) -> None:
    home.state_dir.parent.mkdir(parents=True, exist_ok=True)
    home.state_dir.touch()
    said = nunet(*OFFER, *words)
    assert (said.code, said.out) == (1, "")
    assert said.err.endswith(f"nunet: cannot make {home.state_dir}: File exists\n")
    assert not home.config_file.exists()


def test_a_broken_config_is_not_written_over(nunet: Nunet, home: Paths) -> None:
    home.config_file.write_text("[wallet\n")
    assert nunet(*OFFER).code == 2
    assert home.config_file.read_text() == "[wallet\n"


def test_the_json_has_its_schema_and_every_fact(nunet: Nunet, home: Paths, world: World) -> None:
    world.info = INFO
    assert json.loads(nunet(*OFFER, "--wallet", WALLET, "--json").out) == {
        "schema": "nunet.onboard/1",
        "config_file": str(home.config_file),
        "cpu_mhz": 4000,
        "ram_mb": 2000,
        "disk_mb": 10000,
        "core_mhz": 2500,
        "oracle_url": "http://127.0.0.1:9980",
        "oracle_fingerprint": fingerprint_of(KEY),
        "wallet": WALLET,
        "wallet_file": "",
        "worker_pid": 4711,
        "warnings": [],
        "oracle_answers": True,
        "engine_checks": 1,
    }


class TestAtATerminal:
    """Somebody sits there: what will be written is shown, then asked."""

    @pytest.fixture(autouse=True)
    def answers(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
        answers: dict[str, object] = {"MHz": "", "MB": "", "Cardano": "", "sure": True}
        monkeypatch.setattr(onboard.render, "can_ask", lambda: True)
        monkeypatch.setattr(onboard.render, "ask", lambda text: answers[text.split()[0]])
        monkeypatch.setattr(onboard.render, "confirm", lambda _: answers["sure"])
        return answers

    def test_no_means_that_nothing_is_written(
        self, nunet: Nunet, home: Paths, answers: dict[str, object], world: World
    ) -> None:
        answers["sure"] = False
        said = nunet(*OFFER)
        assert said.code == 2
        assert "capacity.cpu_mhz = 4000\n" in said.err
        assert "nothing was changed" in said.err
        assert nothing_is_written(home)
        assert world.did == []

    def test_the_machine_is_shown_and_half_of_it_proposed(self, nunet: Nunet, home: Paths) -> None:
        said = nunet("onboard")
        assert said.code == 0
        assert "4 cores of 2500 MHz are 10000 MHz\n" in said.err
        assert "8000 MB RAM, 100000 MB disk free\n" in said.err
        capacity = config.load(home.config_file).capacity
        assert (capacity.cpu_mhz, capacity.ram_mb) == (5000, 4000)

    def test_what_is_typed_is_offered(
        self, nunet: Nunet, home: Paths, answers: dict[str, object]
    ) -> None:
        answers["MHz"], answers["MB"] = "3000", "1500"
        assert nunet("onboard").code == 0
        capacity = config.load(home.config_file).capacity
        assert (capacity.cpu_mhz, capacity.ram_mb) == (3000, 1500)

    @pytest.mark.parametrize(
        ("question", "answer", "words"),
        [
            ("MHz", "half", "is not a whole number"),
            ("MHz", "-3", "is not a whole number"),
            ("MHz", "4.5", "is not a whole number"),
            ("MHz", "١٢", "is not a whole number"),
            ("MHz", "999", "999 is not from 1000 to 9000"),
            ("MB", "7201", "7201 is not from 800 to 7200"),
            ("Cardano", "0x" + "5" * 40, "it is an Ethereum address"),
            ("Cardano", "addr1", "cannot read the address"),
            ("Cardano", SCRIPT, "cannot pay to a script's address"),
        ],
    )
    def test_what_will_not_do_is_asked_again_and_then_given_up(
        self, question: str, answer: str, words: str,
        nunet: Nunet, home: Paths, answers: dict[str, object],
    ) -> None:  # fmt: skip
        answers[question] = answer
        said = nunet("onboard")
        assert said.code == 2
        assert said.err.count(words) == 3
        assert nothing_is_written(home)

    def test_an_address_may_be_typed_in(
        self, nunet: Nunet, home: Paths, answers: dict[str, object]
    ) -> None:
        answers["Cardano"] = WALLET
        assert nunet(*OFFER).code == 0
        assert config.load(home.config_file).wallet.address == WALLET

    def test_an_address_of_another_network_than_the_oracle_s_is_asked_for_again(
        self, nunet: Nunet, world: World, answers: dict[str, object]
    ) -> None:
        world.info, answers["Cardano"] = INFO, MAINNET_WALLET
        said = nunet(*OFFER)
        assert said.code == 2
        assert said.err.count("another Cardano network than the Oracle's") == 3

    def test_an_empty_answer_makes_a_wallet(self, nunet: Nunet, home: Paths) -> None:
        assert nunet(*OFFER).code == 0
        assert (home.wallets_dir / "provider.skey").exists()

    def test_yes_means_that_nobody_is_asked(self, nunet: Nunet, answers: dict[str, object]) -> None:
        answers["sure"], answers["Cardano"] = False, "nonsense"
        assert nunet(*OFFER, "--yes").code == 0


class TestRequirements:
    """A machine below the minimum is refused by name; below the recommendation it is warned."""

    @pytest.mark.parametrize(
        ("changes", "why", "cure"),
        [
            ({"ram_mb": 3000}, "RAM is 3.145 GB, at least 4 GB is needed", "add some"),
            ({"core_mhz": 400}, "CPU is 1.6 GHz, at least 2 GHz is needed", "--core-mhz 2400"),
            ({"free_disk_mb": 9000}, "free disk is 9.437 GB, at least 10 GB", "free some"),
            ({"info": INFO, "speed": SpeedFacts(3999, 1, 1)},
             "download is 3.999 Mbps, at least 4 Mbps is needed", "--skip-speed-test"),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("words", [OFFER, (*OFFER, "--yes"), ("onboard", "--yes")])
    def test_too_little_is_refused_naming_figure_need_and_cure(
        self, words: tuple[str, ...], changes: dict[str, object], why: str, cure: str,
        nunet: Nunet, home: Paths, world: World,
    ) -> None:  # fmt: skip
        for name, value in changes.items():
            setattr(world, name, value)
        said = nunet(*words)
        assert (said.code, said.out) == (8, "")
        assert why in said.err
        assert cure in said.err
        assert nothing_is_written(home)
        assert "prove" not in world.did

    def test_everything_that_is_too_little_is_named_at_once(
        self, nunet: Nunet, world: World
    ) -> None:
        world.ram_mb, world.free_disk_mb = 3000, 9000
        said = nunet(*OFFER)
        assert "RAM is" in said.err
        assert "free disk is" in said.err

    def test_below_the_recommendation_is_a_warning_and_goes_on(
        self, nunet: Nunet, world: World
    ) -> None:
        world.ram_mb = 6000
        said = nunet(*OFFER, "--json")
        assert said.code == 0
        assert "RAM is 6.291 GB, 8-16 GB is recommended\n" in said.err
        assert "RAM is 6.291 GB, 8-16 GB is recommended" in json.loads(said.out)["warnings"]

    def test_a_card_in_a_machine_that_may_not_use_it_is_said_and_is_no_obstacle(
        self, nunet: Nunet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        weak = with_card(vram_mb=2000)
        monkeypatch.setattr(onboarding, "take_fingerprint", lambda *_: weak)
        said = nunet(*OFFER)
        assert said.code == 0
        assert "GPU jobs: refused: GPU memory is 2.097 GB, at least 4 GB is needed\n" in said.err


class TestTheLine:
    """How fast the line to the Oracle is: measured against the Oracle itself, or not at all."""

    def test_it_is_measured_and_kept(self, nunet: Nunet, home: Paths, world: World) -> None:
        world.info = INFO
        assert nunet(*OFFER).code == 0
        assert "measure" in world.did
        assert read_speed(home.speed_file) == FAST

    def test_it_is_not_measured_where_its_owner_does_not_want_it(
        self, nunet: Nunet, home: Paths, world: World
    ) -> None:
        world.info = INFO
        assert nunet(*OFFER, "--skip-speed-test").code == 0
        assert "measure" not in world.did
        assert not home.speed_file.exists()

    def test_without_an_oracle_it_is_unknown_and_that_is_said(
        self, nunet: Nunet, world: World
    ) -> None:
        said = nunet(*OFFER)
        assert said.code == 0
        assert "download could not be found out; at least 4 Mbps needed\n" in said.err
        assert "measure" not in world.did

    def test_a_line_that_breaks_is_told_and_refuses_nobody(
        self, nunet: Nunet, world: World
    ) -> None:
        world.info, world.speed = INFO, None
        said = nunet(*OFFER)
        assert said.code == 0
        assert "the line was not measured: the line broke\n" in said.err


class TestTheKeys:
    """A key that is lost makes another node of this one: said beforehand, and not under jobs."""

    def test_a_new_wallet_s_address_is_not_told_before_its_key_is_written(
        self, nunet: Nunet, home: Paths
    ) -> None:
        said = nunet("onboard", "--dry-run")
        assert "wallet.address = that of a new wallet, to be made here\n" in said.out
        assert "addr_test1" not in said.out
        address = config.load(home.config_file).wallet.address if nunet(*OFFER).code == 0 else ""
        assert address.startswith("addr_test1")

    def test_a_key_that_is_lost_is_made_anew_and_that_is_said(
        self, nunet: Nunet, home: Paths
    ) -> None:
        nunet(*OFFER)
        home.settlement_key.unlink()
        said = nunet(*OFFER)
        assert said.code == 0
        assert "a new settlement key: to the Oracle a new node\n" in said.err
        assert home.settlement_key.exists()

    @pytest.mark.parametrize("lost", ["identity_key", "settlement_key"])
    def test_not_while_a_job_is_open_that_it_would_be_paid_by(
        self, lost: str, nunet: Nunet, home: Paths
    ) -> None:
        nunet(*OFFER)
        with Journal(home.journal, lambda: 0) as journal:
            admit(journal)
        getattr(home, lost).unlink()
        said = nunet(*OFFER)
        assert said.code == 2
        assert "1 jobs are open, and are paid by the old" in said.err
        assert not getattr(home, lost).exists()

    def test_a_key_that_cannot_be_used_is_told_before_anything_is_written(
        self, nunet: Nunet, home: Paths
    ) -> None:
        nunet(*OFFER)
        written = home.config_file.read_text()
        home.identity_key.write_text("no key")
        assert nunet("onboard", "--cpu", "5000", "--ram", "2000").code == 2
        assert nunet("onboard", "--dry-run").code == 2
        assert home.config_file.read_text() == written


class TestTheEngine:
    """A test container proves it before the machine goes online."""

    def test_an_engine_that_lets_a_job_out_of_its_limits_is_refused(
        self, nunet: Nunet, home: Paths, world: World
    ) -> None:
        world.escapes = True
        said = nunet(*OFFER)
        assert (said.code, said.out) == (7, "")
        assert "memory: asked 64 MB, seen 128 MB" in said.err
        assert "jobs share the RAM" in said.err
        assert nothing_is_written(home)
        assert "start" not in world.did

    def test_without_an_engine_the_machine_does_not_go_online(
        self, nunet: Nunet, home: Paths, world: World
    ) -> None:
        world.engine_away = True
        said = nunet(*OFFER)
        assert said.code == 6
        assert nothing_is_written(home)

    def test_one_that_does_not_answer_is_told_before_anybody_is_asked(
        self, nunet: Nunet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        away = EngineFacts(answers=False, problem="cannot reach Docker: no", cure="start it")
        monkeypatch.setattr(onboarding, "take_fingerprint", lambda *_: fingerprint(engine=away))
        monkeypatch.setattr(onboard.render, "can_ask", lambda: True)
        said = nunet("onboard")
        assert said == Said(6, "", "nunet: cannot reach Docker: no\n       start it\n")
        assert nunet(*OFFER, "--no-start", "--yes").code == 0

    def test_settings_alone_need_none(self, nunet: Nunet, world: World) -> None:
        world.engine_away = True
        assert nunet(*OFFER, "--no-start").code == 0


class TestDryRun:
    """The whole verdict for people and scripts; nothing is written, started or proven."""

    @pytest.fixture(autouse=True)
    def untouched(self, home: Paths, world: World) -> Iterator[None]:
        yield
        assert nothing_is_written(home)
        assert not {"start", "stop", "prove"} & set(world.did)

    def test_it_proposes_half_and_needs_no_options(self, nunet: Nunet) -> None:
        said = json.loads(nunet("onboard", "--dry-run", "--json").out)
        assert said["schema"] == "nunet.onboard.verdict/1"
        assert said["would_onboard"] is True
        assert (said["cpu_mhz"], said["ram_mb"], said["core_mhz"]) == (5000, 4000, 2500)
        assert (said["total_mhz"], said["total_ram_mb"]) == (10_000, 8000)
        assert "capacity.cpu_mhz = 5000" in said["changes"]

    def test_its_rows_have_what_was_found_beside_what_is_needed(
        self, nunet: Nunet, world: World
    ) -> None:
        world.info = INFO
        (cpu,) = json.loads(nunet("onboard", "--dry-run", "--json").out)["profiles"]
        assert (cpu["profile"], cpu["verdict"], cpu["refusals"]) == ("cpu", "fine", [])
        assert cpu["rows"][0] == {
            "figure": "cpu_mhz",
            "unit": "MHz",
            "found": 10_000,
            "minimum": 2000,
            "recommended": 3500,
            "level": "fine",
        }

    def test_a_machine_that_would_be_refused_exits_8_with_the_same_json(
        self, nunet: Nunet, world: World
    ) -> None:
        world.ram_mb = 3000
        said = nunet("onboard", "--dry-run", "--json")
        facts = json.loads(said.out)
        assert said.code == 8
        assert facts["would_onboard"] is False
        assert facts["profiles"][0]["refusals"] == ["RAM is 3.145 GB, at least 4 GB is needed"]

    def test_without_an_engine_it_would_not_go_online_and_exits_6(
        self, nunet: Nunet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        away = fingerprint(
            engine=EngineFacts(answers=False, problem="cannot use Docker: none", cure="start it")
        )
        monkeypatch.setattr(onboarding, "take_fingerprint", lambda *_: away)
        said = nunet("onboard", "--dry-run", "--json")
        facts = json.loads(said.out)
        assert (said.code, facts["would_onboard"]) == (6, False)
        assert (facts["engine_version"], facts["engine_problem"]) == ("", "cannot use Docker: none")
        text = nunet("onboard", "--dry-run").out
        assert (
            "cannot use Docker: none; start it\nthis machine would be refused; nothing was" in text
        )

    def test_people_see_a_table_and_the_last_word(self, nunet: Nunet, world: World) -> None:
        world.info = INFO
        said = nunet("onboard", "--dry-run")
        assert said.code == 0
        assert said.out.startswith(
            """\
CPU jobs: fine
REQUIREMENT  FOUND      MINIMUM  RECOMMENDED  VERDICT
CPU          10 GHz     2 GHz    3.5 GHz      fine
RAM          8.388 GB   4 GB     8-16 GB      fine
free disk    104.86 GB  10 GB    20 GB        fine
download     90 Mbps    4 Mbps   10 Mbps      fine
this machine would be onboarded; nothing was written
"""
        )

    def test_a_share_out_of_bounds_is_an_error_here_too(self, nunet: Nunet) -> None:
        said = nunet("onboard", "--dry-run", "--cpu", "9999", "--ram", "2000")
        assert (said.code, said.out) == (2, "")
        assert "it must be from 1000 to 9000" in said.err


class TestUnattended:
    """Nobody sits there: nothing is ever asked."""

    def test_what_is_missing_is_an_error_that_proposes_half(
        self, nunet: Nunet, home: Paths
    ) -> None:
        said = nunet("onboard")
        assert (said.code, said.out) == (2, "")
        assert "half of this machine: --cpu 5000 --ram 4000; to take half: --yes" in said.err
        assert nothing_is_written(home)

    def test_yes_takes_half(self, nunet: Nunet, home: Paths) -> None:
        assert nunet("onboard", "--yes").code == 0
        capacity = config.load(home.config_file).capacity
        assert (capacity.cpu_mhz, capacity.ram_mb) == (5000, 4000)

    def test_yes_offers_no_more_than_the_machine_still_has(
        self, nunet: Nunet, home: Paths, world: World
    ) -> None:
        nunet("onboard", "--cpu", "4000", "--ram", "7000")
        world.ram_mb = 5000
        assert nunet("onboard", "--yes").code == 0
        assert config.load(home.config_file).capacity.ram_mb == 4500

    def test_yes_keeps_what_was_offered_before(self, nunet: Nunet, home: Paths) -> None:
        nunet(*OFFER)
        assert nunet("onboard", "--yes").code == 0
        capacity = config.load(home.config_file).capacity
        assert (capacity.cpu_mhz, capacity.ram_mb) == (4000, 2000)

    def test_a_machine_that_hides_its_memory_is_an_error(self, nunet: Nunet, world: World) -> None:
        world.ram_mb = None
        assert nunet(*OFFER).code == 2

    def test_prices_and_hours_are_options(self, nunet: Nunet, home: Paths) -> None:
        words = ("--price-ghz-hour", "5", "--price-ram-gb-hour", "6", "--price-gpu-hour", "7")
        assert nunet(*OFFER, *words, "--hours", "sat-sun").code == 0
        settings = config.load(home.config_file)
        assert settings.price == config.PriceConfig(
            per_ghz_hour=5, per_ram_gb_hour=6, per_gpu_hour=7
        )
        assert settings.availability.hours == "sat-sun"

    def test_hours_that_make_no_sense_are_refused(self, nunet: Nunet, home: Paths) -> None:
        said = nunet(*OFFER, "--hours", "someday")
        assert said.code == 2
        assert "someday" in said.err
        assert nothing_is_written(home)

    def test_onboarding_ends_a_pause_for_leaving(self, nunet: Nunet, home: Paths) -> None:
        write_pause(home.pause_file, Pause(0, offboarding=True))
        assert nunet(*OFFER).code == 0
        assert not home.pause_file.exists()

    @pytest.mark.parametrize("pause", [Pause(0), Pause(0, until_s=9_999_999_999)])
    def test_onboarding_again_leaves_the_owner_s_own_pause(
        self, pause: Pause, nunet: Nunet, home: Paths
    ) -> None:
        assert nunet(*OFFER).code == 0
        write_pause(home.pause_file, pause)
        assert nunet(*OFFER).code == 0
        assert read_pause(home.pause_file, 1) == pause


def test_no_secret_is_said(nunet: Nunet, home: Paths) -> None:
    said = nunet(*OFFER)
    secrets = [
        read_key_file(home.wallets_dir / "provider.skey").seed.hex(),
        read_key_file(home.settlement_key).seed.hex(),
        read_signing_key(home.identity_key).seed.hex(),
    ]
    told = said.out + said.err + Path(home.config_file).read_text()
    assert not any(secret in told for secret in secrets)
