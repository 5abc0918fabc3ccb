"""Serve an Oracle: one process, one thread for the clockwork, the HTTP server in the caller's."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from nunet_dms.cardano.fingerprint import asset_fingerprint
from nunet_dms.cardano.network import DEVNET
from nunet_dms.errors import ConfigError, UnreachableError
from nunet_dms.oracle import jobs
from nunet_dms.oracle.app import make_app
from nunet_dms.oracle.clockwork import JOBS_AT_ONCE, Clockwork
from nunet_dms.oracle.composition import Oracle, open_oracle
from nunet_dms.oracle.config import OracleConfig
from nunet_dms.oracle.states import ENDED
from nunet_dms.protocol.submission import JobState

GRACE_S = 10
"""For calls under way when the server is to stop; long polls end at once."""
KEEP_ALIVE_S = 75
"""An idle connection is kept that long: longer than any pause of a node."""
BACKLOG = 2048

log = logging.getLogger(__name__)


class HttpServer(uvicorn.Server):
    """A uvicorn that says when it listens, and ends long polls when it is to stop."""

    def __init__(
        self, oracle: Oracle, clockwork: Clockwork, announce: Callable[[], None] | None = None
    ) -> None:
        super().__init__(
            uvicorn.Config(
                make_app(oracle, clockwork),
                log_config=None,
                access_log=False,
                lifespan="on",
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=GRACE_S,
                server_header=False,
            )
        )
        self._oracle = oracle
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        if self.started and self._announce is not None:
            self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wake whoever waits, then stop."""
        self._oracle.notifier.close()
        await super().shutdown(sockets)


def serve(
    config: OracleConfig,
    *,
    announce: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.time,
) -> None:
    """Serve until SIGINT or SIGTERM; `announce` gets the one line that says where.

    A chain that does not answer is no reason not to start: health says `degraded` until it does,
    and nothing is decided meanwhile. Raises ConfigError for a folder that cannot be served or an
    address that cannot be had, and VerificationError for a chain of another network.
    """
    oracle = open_oracle(config, clock)
    clockwork = Clockwork(oracle)
    stop = threading.Event()
    thread = threading.Thread(target=clockwork.run, args=(stop,), name="clockwork", daemon=True)
    try:
        _check_jobs(oracle)
        _check_chain(oracle)
        with listen(config.host, config.port) as sock:
            line = f"oracle listening on {url_of(sock)}{_notice(oracle)}"
            tell = announce or _print_line
            server = HttpServer(oracle, clockwork, lambda: tell(line))
            thread.start()
            with _ending_here(server):
                server.run(sockets=[sock])
    finally:
        stop.set()
        if thread.is_alive():
            thread.join()
        oracle.close()
    log.info("oracle_stopped")


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 lets the system choose. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            hint="another Oracle may be running; choose another port with --listen",
        ) from error


def url_of(sock: socket.socket) -> str:
    """Return the URL at which a listening socket is reached."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _ending_here(server: HttpServer) -> Iterator[None]:
    """Let the signals that stop uvicorn end there: it raises them again when it is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stops = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, server.handle_exit) for number in stops]
    try:
        yield
    finally:
        for number, handler in zip(stops, before, strict=True):
            signal.signal(number, handler)


def _check_jobs(oracle: Oracle) -> None:
    """Refuse a database with open jobs that were paid on another network: none would be settled."""
    with oracle.store.reading() as db:
        for state in (state for state in JobState if state not in ENDED):
            for job in jobs.in_state(db, state, JOBS_AT_ONCE):
                request = jobs.request_of(db, job.job_id)
                if request.network_magic != oracle.network.magic:
                    raise ConfigError(
                        f"cannot serve {oracle.network.name}: job {job.job_id} is open and was paid"
                        f" on the network with magic {request.network_magic}",
                        hint="serve that network until its jobs have ended, or make another Oracle",
                    )


def _check_chain(oracle: Oracle) -> None:
    """Refuse a chain of another network before any job is taken; wait for one that is silent."""
    if oracle.remote is None:
        return
    try:
        oracle.remote.check_network()
    except UnreachableError as error:
        log.warning("chain_silent why=%s", error)


def _notice(oracle: Oracle) -> str:
    network = oracle.network
    what = "development ledger, its tokens have no value" if network.name == DEVNET.name else ""
    if oracle.remote is not None:
        what = f"{what}{', ' if what else ''}by {oracle.config.chain.backend}"
    return f" ({network.name}: {what}; token {asset_fingerprint(network.asset)})"


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
