"""Onboarding: look at the machine, judge it, plan the settings, prove the engine, write.

    survey -> (refuse) -> plan -> (ask) -> prove -> write

Nothing is written before `write`, so that a refusal, a "no" and Ctrl-C leave all as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from time import time

from nunet_dms import config, config_keys
from nunet_dms.cardano.known_network import known_network
from nunet_dms.config import (
    AvailabilityConfig,
    Config,
    OracleConfig,
    PriceConfig,
    TokenConfig,
    WalletConfig,
)
from nunet_dms.errors import (
    CapacityError,
    EngineUnreachableError,
    NotOnboardedError,
    VerificationError,
)
from nunet_dms.machine.fingerprint import Fingerprint, take_fingerprint, verdicts
from nunet_dms.machine.requirements import Figure, Level, Profile, Verdict
from nunet_dms.node.pause import lift_pause, read_pause
from nunet_dms.node.proof import Proof, prove_engine
from nunet_dms.node.speed_file import write_speed
from nunet_dms.paths import Paths
from nunet_dms.provider.first_contact import (
    Contact,
    ask_oracle,
    first_price,
    key_to_pin,
    measure_line,
    words_on,
)
from nunet_dms.provider.keys import Payee, keys_to_make, make_keys, payee
from nunet_dms.provider.offer import Room, Wanted, checked_capacity, room_of
from nunet_dms.wholefile import failing_to

NEW_WALLET = "wallet.address = that of a new wallet, to be made here"
CURES = {
    Figure.CPU_MHZ: "CPU: if the kernel is wrong about its rate, give it: --core-mhz 2400",
    Figure.RAM: "RAM: add some, or give this virtual machine more",
    Figure.DISK: "disk: free some where jobs are kept, or keep them elsewhere: NUNET_HOME=DIR",
    Figure.DOWN_KBPS: "download: try again when the line is free, or: --skip-speed-test",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the options say; empty and None where they say nothing."""

    offer: Wanted
    oracle_url: str
    """Empty: as before, else loopback."""
    oracle_key: str = ""
    wallet: str = ""
    per_ghz_hour: int | None = None
    per_ram_gb_hour: int | None = None
    per_gpu_hour: int | None = None
    hours: str | None = None
    measures_line: bool = True


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found before anything was asked or decided."""

    before: Config | None
    found: Fingerprint
    contact: Contact
    line_problem: str
    """Why the line could not be measured; empty if it was, or was not to be."""
    room: Room
    verdicts: tuple[Verdict, ...]

    @property
    def for_cpu_jobs(self) -> Verdict:
        """The verdict that decides whether this machine may join."""
        return next(each for each in self.verdicts if each.profile is Profile.CPU)

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why this machine may not join at all; empty if it may."""
        return self.for_cpu_jobs.refusals


@dataclass(frozen=True, slots=True)
class Plan:
    """Settings that are checked and not yet written."""

    survey: Survey
    settings: Config
    payee: Payee
    new_keys: tuple[str, ...]
    """Of the node's keys, those that are yet to be made."""

    @property
    def changes(self) -> tuple[str, ...]:
        """What will be written: all of it the first time, later what is new.

        The address of a wallet that is not written yet is not told: nobody could spend from it.
        """
        changed = [
            NEW_WALLET if self.payee.new_key and str(each.key) == "wallet.address" else str(each)
            for each in config_keys.changes(self.survey.before, self.settings)
        ]
        if self.survey.before is not None:
            changed += [f"a new {name} key: to the Oracle a new node" for name in self.new_keys]
        return tuple(changed) or ("nothing changes",)

    @property
    def words(self) -> tuple[str, ...]:
        """What its owner should know before saying yes."""
        survey = self.survey
        line = (f"the line was not measured: {survey.line_problem}",) if survey.line_problem else ()
        return (
            *self.changes,
            *words_on(self.settings.oracle, survey.contact),
            *line,
            *cautions(survey.verdicts),
        )


def survey(where: Paths, wish: Wish, tell: Callable[[str], None]) -> Survey:
    """Look at the machine, its engine and its Oracle; raises UsageError where a fact is needed.

    `tell` is given a word on what takes a while.
    """
    before = settings_before(where)
    url = wish.oracle_url or (before.oracle.url if before else config.DEFAULT_ORACLE_URL)
    contact = ask_oracle(url)
    speed, problem = None, ""
    if wish.measures_line and contact.info is not None:
        tell("measuring the line to the Oracle (10 s at most)")
        speed, problem = measure_line(url)
    found = take_fingerprint(where.jobs_dir, int(time()), speed)
    room = room_of(found, wish.offer, before.capacity if before else None, where.jobs_dir)
    return Survey(before, found, contact, problem, room, verdicts(found, room.core_mhz))


def refuse_unfit(seen: Survey) -> None:
    """Raise CapacityError, with the cures, for a machine below the minimum."""
    if not seen.refusals:
        return
    short = seen.for_cpu_jobs.at(Level.BELOW_MINIMUM)
    raise CapacityError(
        "cannot onboard this machine: " + "; ".join(seen.refusals),
        hint="\n       ".join(CURES[row.requirement.figure] for row in short),
    )


def refuse_without_engine(seen: Survey) -> None:
    """Raise EngineUnreachableError where none answers: without one no job can run."""
    engine = seen.found.engine
    if not engine.answers:
        raise EngineUnreachableError(engine.problem, hint=engine.cure)


def plan(where: Paths, wish: Wish, seen: Survey) -> Plan:
    """Decide on settings; raises UsageError, VerificationError, nothing being written yet."""
    before, contact = seen.before, seen.contact
    token = before.token if before else TokenConfig()
    if contact.info is not None:
        known_network(contact.info, token.choice)
    paid = payee(wish.wallet, before, where, contact.info)
    settings = Config(
        oracle=OracleConfig(
            url=contact.url, ticket_key=key_to_pin(contact, wish.oracle_key, before)
        ),
        wallet=WalletConfig(address=paid.address),
        capacity=checked_capacity(wish.offer, seen.room, before.capacity if before else None),
        price=_price(wish, before.price if before else first_price(contact.info)),
        availability=_availability(wish, before),
        token=token,
    )
    config.check(settings)
    return Plan(seen, settings, paid, keys_to_make(where))


def prove(where: Paths) -> Proof:
    """Run a test container; raises EngineUnreachableError, and VerificationError if it escapes.

    Jobs are held to their limits by the engine: one that does not apply them must not go online.
    """
    with _state_dir(where):
        proof = prove_engine(where.state_dir)
        if proof.holds:
            return proof
        wrong = [check for check in proof.checks if not check.holds]
        raise VerificationError(
            "engine_unproven",
            "cannot go online: the container engine does not hold a job to its limits: "
            + "; ".join(f"{each.id}: asked {each.asked}, seen {each.seen}" for each in wrong),
            hint="\n       ".join(dict.fromkeys(each.why for each in wrong)),
        )


@contextmanager
def _state_dir(where: Paths) -> Iterator[None]:
    """Have the state folder; where it is new, an error takes it and its new parents away again."""
    new = [each for each in (where.state_dir, *where.state_dir.parents) if not each.exists()]
    with failing_to("make", where.state_dir):
        where.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # something is in it by now, and stays
            for folder in new:
                folder.rmdir()
        raise


def write(where: Paths, decided: Plan) -> None:
    """Write keys and settings, the settings last; a pause for offboarding is over."""
    make_keys(where, decided.payee)
    if decided.survey.found.speed is not None:
        write_speed(where.speed_file, decided.survey.found.speed)
    config.save(where.config_file, decided.settings)
    pause = read_pause(where.pause_file, time())
    if pause is not None and pause.offboarding:  # any other is its owner's, and stays
        lift_pause(where.pause_file)


def settings_before(where: Paths) -> Config | None:
    """Return the settings as they are, None before the first onboarding; raises ConfigError."""
    try:
        return config.load(where.config_file)
    except NotOnboardedError:
        return None


def cautions(judged: tuple[Verdict, ...]) -> tuple[str, ...]:
    """Return what the verdicts warn of, and why GPU jobs are out of the question if they are."""
    lines = []
    for verdict in judged:
        of = "GPU jobs: " if verdict.profile is Profile.GPU else ""
        refused = () if verdict.profile is Profile.CPU else verdict.refusals
        lines += [f"{of}refused: {text}" for text in refused]
        lines += [f"{of}{text}" for text in verdict.warnings]
    return tuple(lines)


def _price(wish: Wish, usual: PriceConfig) -> PriceConfig:
    wished = {
        name: value
        for name in ("per_ghz_hour", "per_ram_gb_hour", "per_gpu_hour")
        if (value := getattr(wish, name)) is not None
    }
    return replace(usual, **wished)


def _availability(wish: Wish, before: Config | None) -> AvailabilityConfig:
    usual = before.availability if before else AvailabilityConfig()
    return usual if wish.hours is None else replace(usual, hours=wish.hours)
