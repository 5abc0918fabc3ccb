"""`nunet receipt`: show and verify, from a file, stdin, or what is kept of a job; no network."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cli_world import Said, admit

from nunet_dms import config
from nunet_dms.config import Config
from nunet_dms.node.journal import Journal
from nunet_dms.paths import Paths
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import OracleInfo
from nunet_dms.protocol.dispute import Objection, SignedObjection
from nunet_dms.protocol.node import Offer
from nunet_dms.protocol.quote import Quote, QuoteLine
from nunet_dms.protocol.receipt import linked
from nunet_dms.protocol.signing import Domain, Sealed, seal
from nunet_dms.protocol.submission import JobSubmission
from nunet_dms.requester.pins import OraclePin
from nunet_dms.requester.records import Records, SubmissionRecord, write_private
from tests.unit.receipt_world import (
    ESCROW,
    FORGER,
    NODE,
    NOT_OFFERED,
    ORACLE,
    PAID,
    REVISED,
    TOKEN,
    Story,
    receipt_of,
    sealed_by,
    tampered,
)

Nunet = Callable[..., Said]
JOB = receipt_of().job_id
MARK = "acdc-afb2-3fd7-1b7a-9086-9151-43c9-7f99"
UNCHECKED = f"""\
every link holds, but nobody here says that the key is the Oracle's
compare {MARK} with its operator's word, or give --oracle-key
"""
INFO = OracleInfo(
    version="1",
    network="lab",
    network_magic=7,
    network_id=0,
    token_policy=TOKEN.policy.hex(),
    token_name=TOKEN.name.hex(),
    token_decimals=2,
    ticket_key=ORACLE.public,
    escrow_key_hash=ESCROW.key_hash.hex(),
)
PIN = OraclePin(
    url="http://127.0.0.1:9980",
    ticket_key=ORACLE.public,
    escrow_key_hash=INFO.escrow_key_hash,
    network_magic=7,
    token_policy=INFO.token_policy,
    token_name=INFO.token_name,
)


@pytest.fixture
def file_of(tmp_path: Path) -> Callable[..., str]:
    """Write a receipt to a file, and return its path."""

    def write(what: Sealed | Story = PAID) -> str:
        sealed = what if isinstance(what, Sealed) else sealed_by(receipt_of(what))
        path = tmp_path / "receipt.json"
        path.write_bytes(strict.encode(sealed))
        return str(path)

    return write


def test_a_receipt_that_holds_under_the_given_key_is_0(
    nunet: Nunet, file_of: Callable[..., str]
) -> None:
    said = nunet("receipt", "verify", file_of(), "--oracle-key", ORACLE.public)
    assert said == Said(
        0,
        f"""\
spec           ok      9460e93c8537ff39: demo@sha256:{"0" * 64}, 1 input files of 7 bytes
request        ok      cad563064615ee48: at most 1000001 base units, to node 8b218424ad74df25
signature      ok      by the wallet addr_test1vqxk54m7j3q6mrkevcunryrwf4p7e68c93cjk8gzxkhlkpsffv7s0
payment        ok      4a6fa5ce6c5ebde6 pays 1000001 base units and 3000000 lovelace into \
addr_test1wzj58rda8c8r6hwxxuy47anmkfkvtxww3swl82ushlcmx4sdxqlzc
ticket         ok      efefefefefefefef: paid in block 7, 1 confirmations when it was signed
report         ok      succeeded after 50000 ms; log 2222222222222222 of 12 bytes, results \
3ce29c5c17004559
first_verdict  absent  the verdict was not revised
objections     absent  nobody objected
verdict        ok      succeeded after 50000 ms: 500001 to the provider, 500000 to the requester
settlement     ok      1b14739a0447b5fc in block 9, signed by 2 of 3 parties
seal           ok      by the Oracle with the key {MARK}
every link holds; the Oracle's key is {MARK}, as given
""",
        "",
    )


def test_what_never_happened_is_said_to_be_absent(
    nunet: Nunet, file_of: Callable[..., str]
) -> None:
    words = ("receipt", "verify", file_of(NOT_OFFERED), "--oracle-key", ORACLE.public)
    said = nunet(*words)
    assert said.code == 0
    assert (
        "ticket         absent  it was never offered: the requester cancelled it before it was"
        " offered (cancelled)\n"
    ) in said.out


def test_a_key_that_nobody_here_knows_is_5(nunet: Nunet, file_of: Callable[..., str]) -> None:
    said = nunet("receipt", "verify", file_of())
    assert (said.code, said.err) == (5, "")
    assert said.out.endswith(UNCHECKED)
    facts = json.loads(nunet("receipt", "verify", file_of(), "--json").out)
    assert (facts["holds"], facts["oracle_key_checked"]) == (True, False)


def test_a_broken_receipt_is_7_and_names_the_first_broken_link(
    nunet: Nunet, file_of: Callable[..., str]
) -> None:
    cheaper = tampered(sealed_by(receipt_of()), lambda tree: tree["request"].update(price=1))
    said = nunet("receipt", "verify", file_of(cheaper))
    assert (said.code, said.err) == (7, "")
    assert said.out.endswith(
        "BROKEN at request: it was changed: the chain has another hash for it\n"
    )
    facts = json.loads(nunet("receipt", "verify", file_of(cheaper), "--json").out)
    assert facts["schema"] == "nunet.receipt.verify/1"
    assert (facts["holds"], facts["first_broken"]) == (False, "request")
    assert facts["links"][1]["state"] == "broken"
    shown = nunet("receipt", "show", file_of(cheaper))
    assert shown.code == 7
    assert shown.out.endswith("verified    " + said.out.splitlines()[-1] + "\n")


def test_another_key_than_the_given_one_is_7(nunet: Nunet, file_of: Callable[..., str]) -> None:
    said = nunet("receipt", "verify", file_of(), "--oracle-key", NODE.public)
    assert said.code == 7
    assert "BROKEN at ticket: cannot trust this ticket: it is signed by another key" in said.out


@pytest.mark.parametrize("key", ["xyz", ORACLE.public.upper(), ORACLE.public[:-1]])
def test_a_key_that_is_none_is_2(nunet: Nunet, file_of: Callable[..., str], key: str) -> None:
    said = nunet("receipt", "verify", file_of(), "--oracle-key", key)
    assert (said.code, said.out) == (2, "")
    assert "32 bytes as lower-case hex" in said.err


def test_a_receipt_comes_on_stdin_too(nunet: Nunet, monkeypatch: pytest.MonkeyPatch) -> None:
    content = strict.encode(sealed_by(receipt_of())) + b"\n"
    for command in ("verify", "show"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        said = nunet("receipt", command, "-", "--oracle-key", ORACLE.public)
        assert said.code == 0
        assert said.out.endswith(f"every link holds; the Oracle's key is {MARK}, as given\n")


@pytest.fixture
def kept_by_node(home: Paths) -> Paths:
    home.receipts_dir.mkdir(parents=True)
    (home.receipts_dir / f"{JOB}.json").write_bytes(strict.encode(sealed_by(receipt_of())))
    return home


def test_a_node_names_its_job_and_trusts_the_oracle_that_it_pinned(
    nunet: Nunet, kept_by_node: Paths, journal: Journal
) -> None:
    assert kept_by_node
    assert nunet("receipt", "verify", JOB[:6]).code == 5
    journal.pin_oracle("http://127.0.0.1:9980", strict.encode(INFO))
    said = nunet("receipt", "verify", JOB[:6])
    assert said.code == 0
    assert said.out.endswith(f"the Oracle's key is {MARK}, which this node trusts\n")


@pytest.mark.usefixtures("onboarded")
def test_a_node_trusts_the_key_in_its_settings(nunet: Nunet, kept_by_node: Paths) -> None:
    settings = config.load(kept_by_node.config_file)
    oracle = replace(settings.oracle, ticket_key=ORACLE.public)
    config.save(kept_by_node.config_file, replace(settings, oracle=oracle))
    assert isinstance(settings, Config)
    assert nunet("receipt", "verify", JOB).code == 0


def test_a_requester_names_its_job_and_trusts_the_oracle_that_it_met(
    nunet: Nunet, home: Paths
) -> None:
    folder = home.state_dir / "requests"
    kept = Records(folder).keep_receipt(JOB, sealed_by(receipt_of()))
    assert kept.stat().st_mode & 0o777 == 0o600
    assert nunet("receipt", "verify", JOB[:4]).code == 5
    write_private(folder / "oracle-127.0.0.1-00000000.json", strict.encode(PIN))
    said = nunet("receipt", "verify", JOB[:4])
    assert said.code == 0
    assert said.out.endswith(f"the Oracle's key is {MARK}, pinned here at first contact\n")
    assert nunet("receipt", "show", JOB[:4]).code == 0


def test_a_receipt_of_a_job_of_ours_is_held_to_the_oracle_that_had_it(
    nunet: Nunet, kept_by_node: Paths, journal: Journal, file_of: Callable[..., str]
) -> None:
    """Another Oracle that is pinned since, or one of a forger's own, has no say about it."""
    receipt = receipt_of()
    assert receipt.ticket is not None
    offer = Offer(ticket=receipt.ticket, spec="{}", request="{}")
    admit(journal, JOB, offer=strict.encode(offer))
    journal._write(
        "write_pin", url="x", info=strict.encode(replace(INFO, ticket_key=FORGER.public))
    )
    assert kept_by_node
    said = nunet("receipt", "verify", JOB)
    assert said.code == 0
    assert said.out.endswith(f"the Oracle's key is {MARK}, from whom this node took the job\n")
    said = nunet("receipt", "verify", file_of(sealed_by(receipt, FORGER)))
    assert said.code == 7
    assert "BROKEN at seal: cannot trust this receipt: it is signed by another key" in said.out


def test_a_receipt_of_a_job_that_we_paid_is_held_to_the_oracle_that_we_paid_it_at(
    nunet: Nunet, home: Paths, file_of: Callable[..., str]
) -> None:
    folder = home.state_dir / "requests"
    receipt = receipt_of()
    quote = Quote(
        quote_id="ab" * 16,
        request=receipt.request,
        lines=(QuoteLine(text="CPU", amount=receipt.request.price),),
        escrow_address=receipt.request.requester,
        escrow_lovelace=1,
        confirmations=1,
        expires_s=1,
    )
    submission = JobSubmission(
        quote_id="ab" * 16, request="{}", cose_sign1="00", cose_key="00", payment_tx="00"
    )
    record = SubmissionRecord(
        oracle_url=PIN.url,
        wallet="default",
        signed_s=1,
        spec=receipt.spec,
        quote=quote,
        submission=submission,
    )
    Records(folder).save(record)
    write_private(folder / "oracle-a-00000000.json", strict.encode(PIN))
    forgers = replace(PIN, url="http://forger", ticket_key=FORGER.public)
    write_private(folder / "oracle-b-00000000.json", strict.encode(forgers))
    said = nunet("receipt", "verify", file_of())
    assert said.code == 0
    assert said.out.endswith(f"the Oracle's key is {MARK}, at whom the job was paid from here\n")
    assert nunet("receipt", "verify", file_of(sealed_by(receipt, FORGER))).code == 7


def test_one_machine_may_be_both_sides(nunet: Nunet, kept_by_node: Paths) -> None:
    Records(kept_by_node.state_dir / "requests").keep_receipt(JOB, sealed_by(receipt_of()))
    assert nunet("receipt", "verify", JOB[:4]).code == 5


def test_a_journal_that_cannot_be_read_says_nothing_about_the_key(
    nunet: Nunet, kept_by_node: Paths
) -> None:
    kept_by_node.journal.write_bytes(b"no journal at all" * 1000)
    assert nunet("receipt", "verify", JOB).code == 5
    assert nunet("receipt", "show", JOB).code == 0


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("nonesuch.json", "there is no such file"),
        ("abc", "4 to 32 characters"),
        ("ffff", "none is kept here"),
        (JOB[:4], "2 jobs begin so"),
    ],
)
def test_what_cannot_be_found_is_2(nunet: Nunet, kept_by_node: Paths, what: str, why: str) -> None:
    twin = JOB[:4] + "0" * 28
    (kept_by_node.receipts_dir / f"{twin}.json").write_bytes(b"{}")
    for command in ("show", "verify"):
        said = nunet("receipt", command, what)
        assert (said.code, said.out) == (2, "")
        assert why in said.err


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"payload":"{}","public_key":"' + b"0" * 64 + b'","signature":"short"}',
        b'{"payload":1,"public_key":1,"signature":1}',
        b"[" * 100_000,
        b'"' + b"x" * strict.TEXT_MAX_BYTES + b'"',
    ],
    ids=lambda content: repr(content[:20]),
)
def test_what_is_no_receipt_is_7(nunet: Nunet, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    for command in ("show", "verify"):
        said = nunet("receipt", command, str(path))
        assert (said.code, said.out) == (7, "")
        assert said.err.startswith(f"nunet: cannot take {path} for a receipt: ")
        assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("payload", "link"),
    [("{}", "request"), ("[1]", "seal"), ("not json", "seal"), ('{"x":1.5}', "seal")],
)
def test_a_seal_over_something_else_is_7(
    nunet: Nunet, file_of: Callable[..., str], payload: str, link: str
) -> None:
    sealed = replace(sealed_by(receipt_of()), payload=payload)
    said = nunet("receipt", "verify", file_of(sealed))
    assert said.code == 7
    assert f"BROKEN at {link}: cannot read $receipt" in said.out
    assert json.loads(nunet("receipt", "verify", file_of(sealed), "--json").out)["job_id"] is None
    said = nunet("receipt", "show", file_of(sealed))
    assert (said.code, said.out) == (7, "")
    assert f"cannot show the receipt: BROKEN at {link}" in said.err


def test_the_whole_page(nunet: Nunet, file_of: Callable[..., str]) -> None:
    said = nunet("receipt", "show", file_of(REVISED), "--oracle-key", ORACLE.public)
    assert said == Said(
        0,
        f"""\
job         456887f84ac8885d7e2c6e932f7cd23b
image       demo@sha256:{"0" * 64}
inputs      1 files, 7 bytes, manifest \
c1e86ec51ccf71567dca420232cd036f65ee5dcda382437d422ef3ddc8976ad4
requester   addr_test1vqxk54m7j3q6mrkevcunryrwf4p7e68c93cjk8gzxkhlkpsffv7s0
provider    addr_test1vzuf2gxdj4hhkzkmhgtd7rfxh5q45sne2h3mlra2up53rrgxj6ez3
node        8b218424ad74df25d35c2ea8e094a4c5c5aeb2cbb442419331569313
price       1.000001 mNTX for 100 s, paid before it ran
payment     16dc9d26d70eb0f7c71a88a44005957a6a8befa714c8a4e5c185d36a34c90786
ticket      efefefefefefefefefefefefefefefef, 2027-01-15 08:00:00 +0000, paid in block 7
ran         50.0 s: succeeded, exit code 0
started     2027-01-15 08:00:00 +0000
ended       2027-01-15 08:00:50 +0000
used        45.0 s of CPU, at most 300 MB of RAM
log         {"2" * 64}, 12 bytes
results     3ce29c5c17004559adda5e8bb9278a5ac4148cdc756dc7bb42dd89f290986813
verdict     succeeded, 50.0 s count: 0.500001 mNTX, 2027-01-15 08:01:00 +0000
objection   by the node, 2027-01-15 08:01:10 +0000: it ran longer (evidence {"3" * 64})
objection   by the requester, 2027-01-15 08:01:10 +0000: empty (evidence {"3" * 64})
revised     33 % to the provider, 2027-01-15 09:00:00 +0000: half of the results were empty
settlement  652bf5ee593c593a6641c617c7dea0d37e7cd81e2e35eef7dfc74e2a531fe6b8 in block 9
earned      0.330001 mNTX by the provider
back        0.67 mNTX to the requester
verified    every link holds; the Oracle's key is {MARK}, as given
""",
        "",
    )


def test_a_job_that_never_ran_has_a_short_page(nunet: Nunet, file_of: Callable[..., str]) -> None:
    out = nunet("receipt", "show", file_of(NOT_OFFERED)).out
    assert "ticket      none: it was never offered\n" in out
    assert "report      none: it did not run to an end\n" in out
    assert "back        1.000001 mNTX to the requester\n" in out
    unchecked = UNCHECKED.replace("compare", 12 * " " + "compare")
    assert out.endswith(f"verified    {unchecked}")


def test_the_page_s_facts_are_base_units(nunet: Nunet, file_of: Callable[..., str]) -> None:
    facts = json.loads(nunet("receipt", "show", file_of(), "--json").out)
    assert (facts["schema"], facts["job_id"]) == ("nunet.receipt.show/1", JOB)
    assert (facts["price"], facts["token_decimals"]) == (1_000_001, 6)
    assert facts["verdict"]["provider_amount"] == 500_001
    assert facts["report"]["reason"] == facts["verdict"]["reason"] == "succeeded"
    assert facts["report"]["log_sha256"] == "22" * 32
    assert (facts["holds"], facts["first_verdict"], facts["objections"]) == (True, None, [])


def test_decimals_come_from_the_network_or_the_pinned_oracle_or_are_not_known(
    nunet: Nunet, file_of: Callable[..., str], journal: Journal
) -> None:
    path = file_of(replace(PAID, magic=7))
    out = nunet("receipt", "show", path).out
    assert "price       1000001 base units for 100 s" in out
    assert f"token       mNTX of {'11' * 28}, decimals not known here\n" in out
    journal.pin_oracle("http://127.0.0.1:9980", strict.encode(INFO))
    assert "price       10000.01 mNTX for 100 s" in nunet("receipt", "show", path).out


def test_what_others_wrote_cannot_move_the_cursor(
    nunet: Nunet, file_of: Callable[..., str]
) -> None:
    receipt = receipt_of()
    objection = Objection(
        job_id=JOB,
        verdict_hash=receipt.verdict.digest,
        party="node",
        evidence_sha256="33" * 32,
        statement="\x1b[2J\nverified    yes",
        issued_s=1,
    )
    signed = SignedObjection(node=seal(objection, Domain.OBJECTION, NODE))
    sealed = sealed_by(linked(replace(receipt, objections=(signed,))))
    for command in ("show", "verify"):
        said = nunet("receipt", command, file_of(sealed), "--oracle-key", ORACLE.public)
        assert said.code == 0
        assert "\\x1b[2J\\nverified    yes" in said.out
