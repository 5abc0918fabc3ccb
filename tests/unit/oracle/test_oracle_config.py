"""The Oracle's folder: made once, read strictly, its keys never overwritten."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from nunet_dms.errors import ConfigError
from nunet_dms.oracle.config import OracleConfig, init, load, read_keys, split_listen


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
    assert "# dispute_window_s = 3600 # seconds to object to a verdict; none on devnet" in text
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
        ("[jobs]\ndispute_window_s = 'an hour'", r"\[jobs\] dispute_window_s must be like 3600"),
        ("[jobs]\ndispute_window_s = true", r"\[jobs\] dispute_window_s must be like 3600"),
        ("[jobs]\ndispute_window_s = -1", r"\[jobs\] dispute_window_s = -1: it must be from 0"),
        ("[ledger]\nblock_interval_s = 0", r"\[ledger\] block_interval_s = 0.0"),
        ("[ledger]\nblock_interval_s = nan", r"\[ledger\] block_interval_s = nan"),
        ("[oracle]\nnetwork = 'goerli'", "known are devnet, preprod, mainnet"),
        ("[oracle]\nproduction = true", "its tokens have no value"),
        ("[oracle]\nlisten = '9980'", "give host:port"),
        ("[oracle", "cannot read"),
        ("\udcff", "cannot read"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "oracle.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=named):
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
