"""What the Docker engine says of itself, from answers as different engines give them."""

from __future__ import annotations

import shutil
import subprocess
import sys

import docker.errors
import pytest
import requests.exceptions
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from nunet_dms.machine.docker_errors import docker_problem
from nunet_dms.machine.engine import EngineFacts, facts_of

# Cut down from `curl --unix-socket ... /info`: Debian 12's own docker.io on cgroup v1.
DEBIAN_V1: dict[str, object] = {
    "ServerVersion": "20.10.24+dfsg1",
    "CgroupVersion": "1",
    "CgroupDriver": "cgroupfs",
    "Driver": "overlay2",
    "DockerRootDir": "/var/lib/docker",
    "Runtimes": {"runc": {"path": "runc"}, "io.containerd.runc.v2": {"path": "runc"}},
    "DefaultRuntime": "runc",
    "LiveRestoreEnabled": False,
    "SecurityOptions": ["name=seccomp,profile=default"],
    "Warnings": None,
}
# Docker's own packages on Ubuntu 24.04 with a GPU, and its containerd image store.
UBUNTU_V2_GPU = DEBIAN_V1 | {
    "ServerVersion": "29.0.1",
    "CgroupVersion": "2",
    "CgroupDriver": "systemd",
    "Driver": "overlayfs",
    "Runtimes": {"runc": {"path": "runc"}, "nvidia": {"path": "nvidia-container-runtime"}},
    "DefaultRuntime": "nvidia",
    "LiveRestoreEnabled": True,
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
}
# dockerd-rootless without delegated controllers.
ROOTLESS = UBUNTU_V2_GPU | {
    "CgroupDriver": "none",
    "DockerRootDir": "/home/ada/.local/share/docker",
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"],
    "Warnings": ["WARNING: Running in rootless-mode without cgroups.", "WARNING: No memory limit"],
}
VERSION = {"Version": "20.10.24+dfsg1", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}


def test_an_engine_on_cgroup_v1_is_read_whole() -> None:
    assert facts_of(DEBIAN_V1, VERSION) == EngineFacts(
        answers=True, version="20.10.24+dfsg1", api_version="1.41", cgroup_version=1,
        cgroup_driver="cgroupfs", storage_driver="overlay2",
        root_dir="/var/lib/docker", runtimes=("io.containerd.runc.v2", "runc"),
        default_runtime="runc", live_restore=False,
        security_options=("name=seccomp,profile=default",),
    )  # fmt: skip


def test_an_engine_on_cgroup_v2_with_the_nvidia_runtime_is_read() -> None:
    facts = facts_of(UBUNTU_V2_GPU, VERSION)
    assert (facts.cgroup_version, facts.cgroup_driver, facts.live_restore) == (2, "systemd", True)
    assert (facts.runtimes, facts.default_runtime) == (("nvidia", "runc"), "nvidia")
    assert (facts.storage_driver, facts.rootless) == ("overlayfs", False)


def test_a_rootless_engine_and_its_warnings_are_told() -> None:
    facts = facts_of(ROOTLESS, VERSION)
    assert facts.rootless
    assert facts.warnings == (
        "WARNING: Running in rootless-mode without cgroups.",
        "WARNING: No memory limit",
    )


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"CgroupVersion": 2}, "cgroup_version", None),
        ({"CgroupVersion": "3"}, "cgroup_version", None),
        ({"LiveRestoreEnabled": "yes"}, "live_restore", None),
        ({"Runtimes": ["runc", 1, None]}, "runtimes", ("runc",)),
        ({"SecurityOptions": "name=rootless"}, "rootless", False),
        ({"SecurityOptions": ["name=rootlesskit"]}, "rootless", False),
        ({"Warnings": ["w" * 400] * 60}, "warnings", ("w" * 300,) * 50),
    ],
)
def test_an_odd_value_is_left_out_and_the_rest_kept(
    changes: dict[str, object], field: str, value: object
) -> None:
    facts = facts_of(DEBIAN_V1 | changes, VERSION)
    assert getattr(facts, field) == value
    assert facts.answers
    assert facts.storage_driver == "overlay2"


@pytest.mark.parametrize("info", [None, [], "OK", {}, {"ServerVersion": ""}, {"ServerVersion": 20}])
def test_an_answer_that_names_no_version_is_no_engine(info: object) -> None:
    facts = facts_of(info, VERSION)
    assert not facts.answers
    assert "docker info" in facts.cure


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    info=st.dictionaries(st.sampled_from(sorted(DEBIAN_V1)), JSON), whole=st.booleans(), other=JSON
)
def test_no_answer_however_odd_raises(info: dict[str, object], whole: bool, other: object) -> None:
    facts = facts_of(DEBIAN_V1 | info if whole else other, other)
    assert facts.answers == (not facts.problem)


def nested(*chain: Exception) -> Exception:
    """An error as the SDK raises it: each holds the next among its arguments."""
    error = chain[-1]
    for outer in reversed(chain[:-1]):
        outer.args = ("Connection aborted.", error)
        error = outer
    return docker.errors.DockerException(f"Error while fetching server API version: {error}", error)


@pytest.mark.parametrize(
    ("error", "cause", "cure"),
    [
        (PermissionError(13, "Permission denied"), "no permission", "usermod -aG docker"),
        (FileNotFoundError(2, "No such file"), "nothing listens", "systemctl start docker"),
        (ConnectionRefusedError(111, "refused"), "nothing listens", "systemctl start docker"),
        (TimeoutError("timed out"), "no answer", "systemctl restart docker"),
        (OSError(5, "Input/output error"), "Input/output error", "docker info"),
    ],
)
def test_the_way_in_which_docker_is_away_has_its_cure(
    error: Exception, cause: str, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/docker")
    wrapped = nested(requests.exceptions.ConnectionError(), ProtocolError(), error)
    problem, todo = docker_problem(wrapped, "/run/docker.sock", 5)
    assert cause in problem
    assert cure in todo
    assert "/run/docker.sock" in problem


def test_a_read_that_times_out_is_told_with_its_time() -> None:
    inner = ReadTimeoutError(None, "/info", "Read timed out.")  # type: ignore[arg-type]
    problem, _ = docker_problem(requests.exceptions.ReadTimeout(inner), "/run/docker.sock", 7)
    assert "within 7 s" in problem


def test_an_engine_that_is_not_installed_is_to_be_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    problem, _ = docker_problem(nested(FileNotFoundError(2, "none")), "/run/docker.sock", 5)
    assert "not installed" in problem


def test_errors_that_hold_each_other_are_looked_at_once() -> None:
    one, other = OSError("one"), OSError("other")
    one.__cause__, other.__cause__ = other, one
    assert docker_problem(one, "x", 5)[0].startswith("cannot reach Docker at x: one")


def test_the_facts_of_an_engine_cost_nothing_until_they_are_read() -> None:
    heavy = "{'docker', 'requests', 'urllib3'}"
    code = f"import sys, nunet_dms.machine.engine; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
