"""A Docker engine of the tests' own, which may be killed: in a network namespace of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import warnings
from pathlib import Path
from types import TracebackType

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

START_S = 60
PAUSE_S = 0.05
_PAUSE = threading.Event()  # never set
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class OwnEngine:
    """One dockerd and the containerd under it; the latter lives as long as this object.

    A containerd that dockerd starts for itself dies with a dockerd that is killed, and does not
    come back; on a real machine the two are services of their own.
    """

    def __init__(self) -> None:
        self._place = Path(tempfile.mkdtemp(prefix="nunet-engine-"))  # a short path, for sockets
        self.socket = self._place / "docker.sock"
        # Of containerd's namespace, which takes no name with two marks in a row or one at its end;
        # such a folder's name may have.
        self._name = f"nunet-engine-{os.urandom(4).hex()}"
        self._dockerd: subprocess.Popen[bytes] | None = None
        self._containerd: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """What DOCKER_HOST is to be."""
        return f"unix://{self.socket}"

    def __enter__(self) -> OwnEngine:
        """Start the containerd."""
        place = self._place
        (place / "containerd.toml").write_text(
            f'version = 2\nroot = "{place}/c-root"\nstate = "{place}/c-state"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\naddress = "{place}/containerd.sock"\n'
        )
        with (place / "containerd.log").open("wb") as log:
            self._containerd = subprocess.Popen(
                ["containerd", "--config", str(place / "containerd.toml")],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return self

    def start(self, *, live_restore: bool) -> None:
        """Start the dockerd, and return once it answers."""
        place = self._place
        (place / "daemon.json").write_text(json.dumps({"live-restore": live_restore}))
        (place / "docker.pid").unlink(missing_ok=True)
        dockerd = (
            f"ip link set lo up; exec dockerd --config-file {place}/daemon.json"
            f" --host {self.address} --data-root {place}/data --exec-root {place}/exec"
            f" --pidfile {place}/docker.pid --containerd {place}/containerd.sock"
            f" --containerd-namespace {self._name} --containerd-plugins-namespace {self._name}-p"
            " --iptables=false --bridge=none"
        )
        with (place / "dockerd.log").open("ab") as log:
            self._dockerd = subprocess.Popen(
                ["unshare", "-n", "sh", "-c", dockerd],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        ends_s = time.monotonic() + START_S
        while not self.answers():
            assert self._dockerd.poll() is None, (place / "dockerd.log").read_text()[-2000:]
            assert time.monotonic() < ends_s, (place / "dockerd.log").read_text()[-2000:]
            _PAUSE.wait(PAUSE_S)

    def answers(self) -> bool:
        """Whether dockerd answers."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # the SDK drops sockets when refused
            try:
                client = docker.DockerClient(base_url=self.address, timeout=5)
            except (DockerException, RequestException):
                return False
        client.close()
        return True

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Send dockerd a signal, and return once it has ended."""
        if self._dockerd is not None:
            self._dockerd.send_signal(number)
            self._dockerd.wait(START_S)
            self._dockerd = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End both, and leave neither a mount nor a file behind."""
        self.stop()
        if self._containerd is not None:
            self._containerd.terminate()
            self._containerd.wait(START_S)
        mounts = Path("/proc/self/mounts").read_text().splitlines()
        for mount in sorted((line.split()[1] for line in mounts), reverse=True):
            if mount.startswith(f"{self._place}/"):
                subprocess.run(["umount", "-l", mount], check=False, **QUIET)
        shutil.rmtree(self._place)
