"""The Oracle's folder: made once, read strictly, its keys never overwritten."""

from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest

from nunet_dms.cardano.chain.opening import url_of
from nunet_dms.cardano.network import PREPROD as PREPROD_NETWORK
from nunet_dms.errors import ConfigError
from nunet_dms.oracle.config import OracleConfig, init, load, read_keys, split_listen
from nunet_dms.oracle.remote_chain import network_of, open_remote


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    config = OracleConfig(folder=tmp_path / "o", host="::1", port=0, block_interval_s=0.5)
    init(config)
    assert load(tmp_path / "o") == config
    text = config.file.read_text()
    assert "# seconds between two blocks of the development ledger" in text


def test_the_window_for_objections_follows_the_network_unless_it_is_named(tmp_path: Path) -> None:
    plain = OracleConfig(folder=tmp_path / "plain")
    init(plain)
    assert load(plain.folder).window_s == 0
    text = plain.file.read_text()
    assert "dispute_window_s = -1 # seconds to object to a verdict; -1: an hour, and none" in text
    named = OracleConfig(folder=tmp_path / "named", dispute_window_s=60)
    init(named)
    assert load(named.folder) == named
    assert named.window_s == 60
    assert OracleConfig(folder=tmp_path, network="preprod").window_s == 3600


def test_keys_are_the_owner_s_alone_and_never_overwritten(tmp_path: Path) -> None:
    config = OracleConfig(folder=tmp_path / "o")
    init(config)
    keys = read_keys(config)
    for path in (config.ticket_key, config.escrow_key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="exists"):
        init(config)
    config.file.unlink()
    init(config)  # as after a crash between the keys and the file
    assert read_keys(config) == keys
    assert "seed" not in repr(keys)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    config = OracleConfig(folder=tmp_path / "o")
    init(config)
    config.ticket_key.chmod(0o644)
    with pytest.raises(ConfigError, match="mode 0644"):
        read_keys(config)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[oracle]\nnetwrok = 'devnet'", r"\[oracle\] netwrok is unknown"),
        ("[jbos]", r"\[jbos\] is unknown"),
        ("oracle = 1", r"\[oracle\] must be a table"),
        ("[jobs]\nlog_max_bytes = 'much'", r"\[jobs\] log_max_bytes must be like"),
        ("[jobs]\nlog_max_bytes = true", r"\[jobs\] log_max_bytes must be like"),
        ("[jobs]\nlog_max_bytes = 1", r"\[jobs\] log_max_bytes = 1: it must be from 1024"),
        ("[jobs]\ndispute_window_s = 'an hour'", r"\[jobs\] dispute_window_s must be like -1"),
        ("[jobs]\ndispute_window_s = true", r"\[jobs\] dispute_window_s must be like -1"),
        ("[jobs]\ndispute_window_s = -2", r"\[jobs\] dispute_window_s = -2: it must be from 0"),
        ("[ledger]\nblock_interval_s = 0", r"\[ledger\] block_interval_s = 0.0"),
        ("[ledger]\nblock_interval_s = nan", r"\[ledger\] block_interval_s = nan"),
        ("[oracle]\nnetwork = 'goerli'", "known are devnet, preprod, mainnet"),
        ("[oracle]\nproduction = true", "its tokens have no value"),
        ("[oracle]\nlisten = '9980'", "give host:port"),
        ("[chain]\nbackend = 'kois'", r"\[chain\] backend = 'kois': known are devnet, koios"),
        ("[chain]\nagree = 'koios'", r"\[chain\] agree needs another backend than devnet"),
        ("[chain]\nbackend = 1", r"\[chain\] backend must be like 'devnet'"),
        ("[token]\npolicy = 'ab'", r"\[token\] policy = 'ab': it must be 56"),
        ("[token]\nname = 'mNTX'", r"\[token\] name = 'mNTX': it must be up to 32 bytes in hex"),
        ("[token]\ndecimals = 20", r"\[token\] decimals = 20: it must be up to 19"),
        ("[token]\nconfirmations = 0", r"\[token\] confirmations = 0"),
        ("[token]\nname = '00'", r"makes its own token"),
        ("[oracle]\nnetwork = 'preprod'", r'backend = "devnet" has no preprod: choose koios'),
        ("[oracle", "cannot read"),
        ("\udcff", "cannot read"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "oracle.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=named):
        load(tmp_path)


PREPROD = """
[oracle]
network = "preprod"
production = {production}
[chain]
{chain}
"""


@pytest.mark.parametrize(
    ("chain", "named"),
    [
        ("backend = 'blockfrost'", r"\[chain\] key_file is missing: blockfrost wants a project id"),
        ("backend = 'ogmios'\nkey_file = 'k'", r"\[chain\] key_file: ogmios takes no key"),
        ("backend = 'koios'\nurl = 'koios.rest'", r"\[chain\] url = .*http or https address"),
        ("backend = 'koios'\nurl = 'https://k@x'", r"\[chain\] url = .*belongs into key_file"),
        ("backend = 'koios'\nurl = 'https://x?k=1'", r"\[chain\] url = .*into key_file"),
        (
            "backend = 'koios'\nkey_file = 'k'\nurl = 'http://koios.example'",
            r"\[chain\] url: it must be https.*since a key is sent there",
        ),
        ("backend = 'koios'\npoll_interval_s = 0.5", r"\[chain\] poll_interval_s = 0.5"),
        ("backend = 'koios'\nagree = 'koios'", r"\[chain\] agree names the backend itself"),
        ("backend = 'koios'\nagree = 'kupo'", r"\[chain\] agree = 'kupo': known are"),
        ("backend = 'koios'\nagree = 'blockfrost'", r"\[chain\] agree_key_file is missing"),
        (
            "backend = 'koios'\nagree = 'ogmios'\nagree_url = 'ftp://x'",
            r"\[chain\] agree_url = 'ftp://x': it must be an http or https address",
        ),
    ],
)
def test_a_wrong_chain_is_named(tmp_path: Path, chain: str, named: str) -> None:
    (tmp_path / "oracle.toml").write_text(PREPROD.format(chain=chain, production="false"))
    with pytest.raises(ConfigError, match=named):
        load(tmp_path)


def test_every_wrong_value_is_named_at_once(tmp_path: Path) -> None:
    chain = "backend = 'blockfrost'\npoll_interval_s = 0\n[token]\npolicy = 'x'\ndecimals = 99"
    (tmp_path / "oracle.toml").write_text(PREPROD.format(chain=chain, production="false"))
    with pytest.raises(ConfigError) as error:
        load(tmp_path)
    for key in ("key_file", "poll_interval_s", "policy", "decimals"):
        assert f"] {key}" in str(error.value)


def test_production_wants_tls_beyond_this_machine(tmp_path: Path) -> None:
    file = tmp_path / "oracle.toml"
    for url, is_taken in (
        ("http://koios.example/api/v1", False),
        ("http://127.0.0.1:8053/api/v1", True),
        ("https://koios.example/api/v1", True),
    ):
        chain = f"backend = 'koios'\nurl = '{url}'"
        file.write_text(PREPROD.format(chain=chain, production="false"))
        assert load(tmp_path).chain.url == url
        file.write_text(PREPROD.format(chain=chain, production="true"))
        if is_taken:
            assert load(tmp_path).production
        else:
            with pytest.raises(ConfigError, match=r"\[chain\] url = .*it must be https"):
                load(tmp_path)


def test_three_lines_of_the_written_file_point_the_oracle_at_preprod(tmp_path: Path) -> None:
    init(OracleConfig(folder=tmp_path / "o"))
    file = tmp_path / "o" / "oracle.toml"
    before = file.read_text().splitlines()
    lines = [
        {
            "network": 'network = "preprod"',
            "backend": 'backend = "koios"',
            "url": 'url = "https://preprod.koios.rest/api/v1"',
        }.get(line.partition(" ")[0], line)
        for line in before
    ]
    assert sum(line != was for line, was in zip(lines, before, strict=True)) == 3
    file.write_text("\n".join(lines))
    config = load(tmp_path / "o")
    found = network_of(config)
    assert (found, config.turn_interval_s) == (PREPROD_NETWORK, 10.0)
    first, second = config.chain.sources(config.folder)
    assert (url_of(first, found.name), second) == ("https://preprod.koios.rest/api/v1", None)
    open_remote(config, time.time).close()


def test_the_usual_addresses_make_the_third_line_superfluous(tmp_path: Path) -> None:
    (tmp_path / "oracle.toml").write_text(
        PREPROD.format(chain="backend = 'koios'", production="true")
    )
    first, _ = load(tmp_path).chain.sources(tmp_path)
    assert url_of(first, "preprod") == "https://preprod.koios.rest/api/v1"


def test_another_token_and_more_confirmations_are_the_operator_s_to_name(tmp_path: Path) -> None:
    token = f"backend = 'koios'\n[token]\npolicy = '{'ab' * 28}'\nname = '00ff'\ndecimals = 2"
    (tmp_path / "oracle.toml").write_text(
        PREPROD.format(chain=f"{token}\nconfirmations = 30", production="false")
    )
    found = network_of(load(tmp_path))
    assert str(found.asset) == f"{'ab' * 28}.00ff"
    assert (found.token_decimals, found.confirmations, found.magic) == (2, 30, 1)


def test_a_development_ledger_elsewhere_needs_its_policy(tmp_path: Path) -> None:
    file = tmp_path / "oracle.toml"
    chain = "[chain]\nbackend = 'koios'\n"
    file.write_text(f"{chain}url = 'http://127.0.0.1:9980/devnet/koios/api/v1'")
    with pytest.raises(ConfigError, match=r"\[token\] policy is missing"):
        load(tmp_path)
    file.write_text(f"{chain}[token]\npolicy = '{'ab' * 28}'")
    with pytest.raises(ConfigError, match=r"\[chain\] url: koios has no usual address for devnet"):
        load(tmp_path)


def test_an_empty_file_means_the_defaults_and_none_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no Oracle") as error:
        load(tmp_path)
    assert "nunet oracle init" in error.value.hint
    (tmp_path / "oracle.toml").touch()
    assert load(tmp_path) == OracleConfig(folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:9980", ("127.0.0.1", 9980)),
        ("[::1]:0", ("::1", 0)),
        ("a.b:65535", ("a.b", 65535)),
    ],
)
def test_where_to_listen_is_read(text: str, found: tuple[str, int]) -> None:
    assert split_listen(text) == found


@pytest.mark.parametrize(
    "text", ["", ":1", "host", "host:", "host:65536", "host:-1", "host:\u0661"]
)
def test_nonsense_to_listen_on_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="give host:port"):
        split_listen(text)
