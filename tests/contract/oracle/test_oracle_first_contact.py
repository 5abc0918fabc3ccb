"""What a provider asks of an Oracle at first contact: of one that answers, that hangs, of none."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from oracle_world import World

from nunet_dms.provider import first_contact
from nunet_dms.provider.first_contact import ask_oracle


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A port of this machine that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def url_of(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}"


def test_an_oracle_tells_who_it_is_and_its_clock(world: World) -> None:
    word = ask_oracle(world.url)
    assert word.problem == ""
    assert word.info is not None
    assert word.info.network
    assert word.ahead_s in {-1, 0, 1, 2}  # its time has whole seconds


def test_an_oracle_that_hangs_is_given_up(
    silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_contact, "FIRST_CONTACT_TIMEOUT_S", 0.1)
    word = ask_oracle(url_of(silent))
    assert word.info is None
    assert word.problem == (
        f"cannot reach the Oracle at {url_of(silent)}: it does not answer in time"
    )


def test_where_nothing_listens_there_is_no_oracle(silent: socket.socket) -> None:
    url = url_of(silent)
    silent.close()
    assert ask_oracle(url).problem == f"cannot reach the Oracle at {url}: nothing listens there"
