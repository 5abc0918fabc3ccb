"""The Oracle's tables; amounts are base units, sizes bytes, times as their names say."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()


def _text(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=key, nullable=False)


def _number(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=null)


def _flag(name: str, *, null: bool = False) -> Column[bool]:
    return Column(name, Boolean, nullable=null)


nodes = Table(
    "nodes",
    METADATA,
    _text("node_id", key=True),
    _text("public_key"),
    _text("settlement_key_hash"),
    _text("wallet"),
    _number("cpu_mhz"),
    _number("ram_mb"),
    _number("disk_mb"),
    _number("per_ghz_hour"),
    _number("per_ram_gb_hour"),
    _number("per_gpu_hour"),
    _number("issued_s"),
    _flag("accepting"),
    _number("seen_ms"),
    _text("registration"),
    Index("nodes_live", "seen_ms"),
)

quotes = Table(
    "quotes",
    METADATA,
    _text("quote_id", key=True),
    _text("node_id"),
    _text("requester"),
    _number("cpu_mhz"),
    _number("ram_mb"),
    _number("disk_mb"),
    _number("expires_s"),
    _flag("used"),
    _text("spec"),
    _text("request"),
    Index("quotes_held", "node_id", "used", "expires_s"),
    Index("quotes_open", "requester", "used", "expires_s"),
)

jobs = Table(
    "jobs",
    METADATA,
    _text("job_id", key=True),
    _text("state"),
    Column("reason", Text),
    _text("detail"),
    _text("quote_id"),
    _text("node_id"),
    _text("requester"),
    _number("cpu_mhz"),
    _number("ram_mb"),
    _number("disk_mb"),
    _number("time_limit_s"),
    _number("price"),
    _number("deadline_slot"),
    _text("payment_tx_id"),
    _number("payment_index"),
    Column("ticket_id", Text),
    _number("offer_expires_s", null=True),
    _number("lease_expires_s", null=True),
    Column("report_hash", Text),
    _number("exit_code", null=True),
    _number("ran_ms"),
    _number("log_bytes"),
    _flag("log_complete", null=True),
    Column("log_dropped_bytes", BigInteger, nullable=False, server_default="0"),
    _number("provider_amount", null=True),
    _number("requester_amount", null=True),
    Column("settlement_tx_id", Text),
    _flag("cosigned"),
    _flag("receipt_acked"),
    _flag("cancel_requested"),
    _number("submitted_ms"),
    _number("started_ms", null=True),
    _number("finished_ms", null=True),
    _number("settled_ms", null=True),
    _number("window_ends_s", null=True),
    _number("payment_missing_s", null=True),
    _number("gone_height", null=True),
    Column("payment_lost", Boolean, nullable=False, server_default="0"),
    _number("look_at_s", null=True),
    Column("alert_level", BigInteger, nullable=False, server_default="0"),
    Column("phase", Text),
    _number("files_gone_s", null=True),
    UniqueConstraint("quote_id", name="one_job_a_quote"),
    UniqueConstraint("payment_tx_id", "payment_index", name="one_job_a_payment"),
    Index("jobs_of_node", "node_id", "state", "receipt_acked"),
    Index("jobs_of_requester", "requester", "submitted_ms"),
    Index("jobs_in_state", "state", "submitted_ms", "job_id"),
    Index("jobs_to_look_at", "look_at_s"),
    Index("jobs_by_deadline", "deadline_slot"),
    Index("jobs_with_files", "files_gone_s", "state", "submitted_ms"),
)

papers = Table(
    "papers",
    METADATA,
    _text("job_id", key=True),
    _text("kind", key=True),
    _text("body"),
)
"""What was signed or sent, as it travelled; binary as hex."""

report_conflicts = Table(
    "report_conflicts",
    METADATA,
    _text("job_id", key=True),
    _text("report_hash", key=True),
    _text("node_id"),
    _text("taken_hash"),
    _text("body"),
    _number("times"),
    _number("first_ms"),
    _number("last_ms"),
    _flag("is_seen"),
)
"""Reports that were refused because their job had another; kept as they were sealed."""

objections = Table(
    "objections",
    METADATA,
    _text("job_id", key=True),
    _text("verdict_hash", key=True),
    _text("party", key=True),
    _text("signed"),
    _number("taken_s"),
    _flag("is_answered"),
)
"""What the parties of a job said against a verdict; one a side and verdict, kept as signed."""

events = Table(
    "events",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    _text("job_id"),
    _number("at_ms"),
    Column("from_state", Text),
    _text("to_state"),
    _text("detail"),
    Index("events_of_job", "job_id", "seq"),
)

log_chunks = Table(
    "log_chunks",
    METADATA,
    _text("job_id", key=True),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

grants = Table(
    "grants",
    METADATA,
    _text("subject", key=True),
    _text("sha256", key=True),
    _number("size"),
    _flag("uploaded"),
    _number("expires_s"),
    Index("grants_of_blob", "sha256", "expires_s"),
)
"""Who may upload which content, and who has: naming a hash alone gives nobody its content."""

job_blobs = Table(
    "job_blobs",
    METADATA,
    _text("job_id", key=True),
    _text("sha256", key=True),
    _text("role", key=True),
    Index("jobs_of_blob", "sha256"),
)
"""Which contents a job's inputs, results and last checkpoint name; how long: see `retention`."""

checkpoints = Table(
    "checkpoints",
    METADATA,
    _text("job_id", key=True),
    _number("number"),
    _number("taken_ms"),
    _number("size_bytes"),
    _text("digest"),
)
"""Each job's last checkpoint that is whole; it is kept as signed among the job's papers."""

missed_work = Table(
    "missed_work",
    METADATA,
    _text("node_id", key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    _text("reason", key=True),
    _number("count"),
    _number("would_pay"),
    Index("missed_in_hour", "hour"),
)
"""Jobs that a node did not get, added up by the hour (Unix time in hours)."""

missed_asks = Table(
    "missed_asks",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    _number("hour"),
    _text("ask"),
    _text("node_id"),
    _text("reason"),
    UniqueConstraint("hour", "ask", "node_id", "reason", name="counted_once"),
)
"""What the present hour has counted already; `ask` is a digest of requester and spec."""
