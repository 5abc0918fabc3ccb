"""A machine that is well in every respect, for tests that make one thing wrong with it."""

from __future__ import annotations

from pathlib import Path

from nunet_dms import __version__
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.config import CapacityConfig, Config, OracleConfig, WalletConfig
from nunet_dms.machine.disk import DiskFacts
from nunet_dms.node.proof_values import ProofCheck
from nunet_dms.node.rows import WorkerRow
from nunet_dms.paths import Paths
from nunet_dms.protocol.api import OracleInfo
from nunet_dms.provider.doctor.clock import ClockFacts
from nunet_dms.provider.doctor.files import FileFacts, KeyFacts, OwnFiles
from nunet_dms.provider.doctor.old_dms import OldDmsFacts
from nunet_dms.provider.doctor.patient import Patient, ProofFacts, SettingsFacts
from nunet_dms.provider.doctor.user import UserFacts
from nunet_dms.provider.doctor.worker_word import WorkerWord
from nunet_dms.provider.first_contact import Contact
from tests.unit.machine_world import TAKEN_S, fingerprint

UID = 1000
WHERE = Paths(Path("/home/ann/.config"), Path("/home/ann/.state"), Path("/home/ann/.state/run"))
WALLET = PaymentKey.from_seed(b"w" * 32)
OTHER_WALLET = PaymentKey.from_seed(b"o" * 32)
ADDRESS = WALLET.address(0).bech32
MAINNET_ADDRESS = WALLET.address(1).bech32
URL = "https://oracle.example"
KEY, OTHER_KEY = "ab" * 32, "cd" * 32
INFO = OracleInfo(
    version="0.1.0",
    network="preprod",
    network_magic=1,
    network_id=0,
    token_policy="aa" * 28,
    token_name="6d4e5458",
    token_decimals=0,
    ticket_key=KEY,
    escrow_key_hash="bb" * 28,
)
SETTINGS = Config(
    oracle=OracleConfig(url=URL, ticket_key=KEY),
    wallet=WalletConfig(address=ADDRESS),
    capacity=CapacityConfig(cpu_mhz=4000, ram_mb=2000, core_mhz=2500),
)
ROW = WorkerRow(
    pid=4711,
    version=__version__,
    started_s=TAKEN_S - 3600,
    ready=True,
    accepting=True,
    oracle_state="ok",
    engine_state="ok",
    note="",
    heartbeat_s=TAKEN_S - 5,
)
LIMITED = ProofCheck("memory", True, "64 MB", "64 MB", "a job could take all memory")


def well() -> Patient:
    """Return a patient without any complaint: bare metal, onboarded, its worker takes jobs."""
    return Patient(
        now_s=TAKEN_S,
        where=WHERE,
        found=fingerprint(),
        user=UserFacts(UID, "ann", True),
        clock=ClockFacts(True),
        images_disk=DiskFacts(200_000, 100_000),
        old_dms=OldDmsFacts(),
        files=own_files(),
        config=SettingsFacts(SETTINGS),
        is_other_scope_onboarded=False,
        oracle=Contact(URL, INFO, ahead_s=0),
        worker=WorkerWord(ROW.pid, ROW, KEY),
        proof=ProofFacts((LIMITED,)),
    )


def own_files() -> OwnFiles:
    """Return files as onboarding leaves them."""
    return OwnFiles(
        config_dir=FileFacts(WHERE.config_dir, 0o755, UID),
        config_file=FileFacts(WHERE.config_file, 0o640, UID),
        state_dir=FileFacts(WHERE.state_dir, 0o700, UID),
        identity=KeyFacts(WHERE.identity_key, True),
        settlement=KeyFacts(WHERE.settlement_key, True),
        wallet=KeyFacts(WHERE.wallets_dir / "provider.skey", True, key_hash=WALLET.key_hash.hex()),
    )
