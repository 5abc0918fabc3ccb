"""The pinned Oracle: first contact pins, a change is refused, the owner's word changes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nunet_dms.cardano.network import TokenChoice
from nunet_dms.config import OracleConfig
from nunet_dms.errors import UsageError, VerificationError
from nunet_dms.node.journal import Journal
from nunet_dms.node.oracle_pin import check_oracle, pinned_network_id, pinned_oracle, trusted_key
from nunet_dms.node.rows import JobRow
from nunet_dms.protocol.keys import SigningKey
from tests.unit.node.conftest import World

ANYBODY = OracleConfig(url="https://oracle.example", ticket_key="")


def test_first_contact_pins(world: World, journal: Journal) -> None:
    assert pinned_oracle(journal) is None
    assert check_oracle(world.info, ANYBODY, journal) == world.info
    assert pinned_oracle(journal) == world.info


def test_another_key_is_refused_later(world: World, journal: Journal) -> None:
    check_oracle(world.info, ANYBODY, journal)
    other = replace(world.info, ticket_key=SigningKey.generate().public)
    with pytest.raises(VerificationError, match="the journal pins"):
        check_oracle(other, ANYBODY, journal)
    assert pinned_oracle(journal) == world.info


def test_another_key_than_the_config_names_is_refused_at_once(
    world: World, journal: Journal
) -> None:
    config = replace(ANYBODY, ticket_key=SigningKey.generate().public)
    with pytest.raises(VerificationError, match=r"config\.toml pins"):
        check_oracle(world.info, config, journal)
    assert pinned_oracle(journal) is None


@pytest.mark.parametrize("name", ["escrow_key_hash", "token_policy"])
def test_the_same_key_with_other_facts_is_refused(
    world: World, journal: Journal, name: str
) -> None:
    check_oracle(world.info, ANYBODY, journal)
    with pytest.raises(VerificationError, match=name):
        check_oracle(replace(world.info, **{name: "9" * 56}), ANYBODY, journal)


def test_the_owner_may_change_oracles_but_not_under_open_jobs(
    world: World, journal: Journal, admit: Callable[..., JobRow]
) -> None:
    check_oracle(world.info, ANYBODY, journal)
    other = replace(world.info, ticket_key=SigningKey.generate().public)
    chosen = replace(ANYBODY, ticket_key=other.ticket_key)
    row = admit()
    with pytest.raises(UsageError, match="1 jobs of the former are open"):
        check_oracle(other, chosen, journal)
    journal._db.execute("UPDATE job SET state = 'settled' WHERE job_id = ?", (row.job_id,))
    assert check_oracle(other, chosen, journal) == other
    assert pinned_oracle(journal) == other


def test_the_pinned_network_is_that_of_the_oracle_that_the_settings_name(
    world: World, journal: Journal, tmp_path: Path
) -> None:
    path = tmp_path / "journal.db"
    assert pinned_network_id(path, ANYBODY) is None
    check_oracle(world.info, ANYBODY, journal)
    assert pinned_network_id(path, ANYBODY) == world.info.network_id
    moved = OracleConfig(url="https://moved.example", ticket_key=world.info.ticket_key)
    assert pinned_network_id(path, moved) == world.info.network_id
    for other in (replace(moved, ticket_key=""), replace(ANYBODY, ticket_key="ab" * 32)):
        assert pinned_network_id(path, other) is None


@pytest.mark.parametrize("content", [None, b"no database" * 1000])
def test_without_a_journal_that_can_be_read_no_network_is_known(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "none.db"
    if content is not None:
        path.write_bytes(content)
    assert pinned_network_id(path, ANYBODY) is None


def test_another_address_is_another_oracle_and_is_pinned_at_first_contact(
    world: World, journal: Journal
) -> None:
    check_oracle(world.info, ANYBODY, journal)
    elsewhere = replace(ANYBODY, url="https://other.example")
    assert trusted_key(elsewhere, journal) == ""
    other = replace(world.info, ticket_key=SigningKey.generate().public)
    assert check_oracle(other, elsewhere, journal) == other
    assert trusted_key(elsewhere, journal) == other.ticket_key
    third = replace(world.info, ticket_key=SigningKey.generate().public)
    with pytest.raises(VerificationError, match="the journal pins"):
        check_oracle(third, elsewhere, journal)


def test_another_address_is_not_taken_while_jobs_of_the_former_are_open(
    world: World, journal: Journal, admit: Callable[..., JobRow]
) -> None:
    check_oracle(world.info, ANYBODY, journal)
    admit()
    elsewhere = replace(ANYBODY, url="https://other.example")
    other = replace(world.info, ticket_key=SigningKey.generate().public)
    with pytest.raises(UsageError, match="1 jobs of the former are open"):
        check_oracle(other, elsewhere, journal)


def test_an_oracle_that_moved_is_known_by_its_key_and_then_by_its_address(
    world: World, journal: Journal, admit: Callable[..., JobRow]
) -> None:
    check_oracle(world.info, ANYBODY, journal)
    admit()
    elsewhere = replace(ANYBODY, url="https://moved.example")
    assert check_oracle(world.info, elsewhere, journal) == world.info
    assert trusted_key(elsewhere, journal) == world.info.ticket_key
    other = replace(world.info, ticket_key=SigningKey.generate().public)
    with pytest.raises(VerificationError, match="the journal pins"):
        check_oracle(other, elsewhere, journal)


def test_a_token_that_is_not_the_network_s_nor_of_our_settings_is_never_pinned(
    world: World, journal: Journal
) -> None:
    ours = TokenChoice(policy=bytes.fromhex(world.info.token_policy))
    foreign = replace(world.info, token_name="00")
    for info, token in (
        (foreign, TokenChoice()),
        (replace(world.info, token_decimals=0), TokenChoice()),
        (replace(world.info, token_policy="9" * 56), ours),
        (world.info, TokenChoice(policy=bytes(28))),
        (replace(world.info, network="preprod", network_magic=1), TokenChoice()),
    ):
        with pytest.raises(VerificationError) as caught:
            check_oracle(info, ANYBODY, journal, token)
        assert caught.value.code == "wrong_token"
    assert pinned_oracle(journal) is None
    assert check_oracle(world.info, ANYBODY, journal, ours) == world.info
    assert check_oracle(world.info, ANYBODY, journal) == world.info
