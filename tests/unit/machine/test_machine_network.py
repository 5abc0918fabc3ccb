"""The way out: which route, and whether it is behind a host's NAT."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden import machine, tree

from nunet_dms.machine.network import Attachment, NetworkFacts, read_network
from nunet_dms.machine.virtualization import Kind, VirtualizationFacts, read_virtualization

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
NAT, BRIDGED, UNKNOWN = Attachment.NAT, Attachment.BRIDGED, Attachment.UNKNOWN
NOWHERE = "0.0.0.0"  # noqa: S104 - no address to listen on, but the gateway of a line to one peer
NATIVE = VirtualizationFacts(Kind.NATIVE, "", "")


def in_hex(address: str) -> str:
    return bytes(reversed([int(part) for part in address.split(".")])).hex().upper()


def route(gateway: str, metric: int = 0, name: str = "eth0", flags: str = "0003") -> str:
    return f"{name}\t00000000\t{in_hex(gateway)}\t{flags}\t0\t0\t{metric}\t00000000\t0\t0\t0   \n"


def link(network: str, mask: str, name: str = "eth0") -> str:
    return f"{name}\t{in_hex(network)}\t00000000\t0001\t0\t0\t0\t{in_hex(mask)}\t0\t0\t0   \n"


def in_vm(hypervisor: str) -> VirtualizationFacts:
    return VirtualizationFacts(Kind.VM, hypervisor, "")


def in_container(container: str) -> VirtualizationFacts:
    return VirtualizationFacts(Kind.CONTAINER, "", "", container)


@pytest.mark.parametrize(
    ("below", "gateway", "mac", "attachment"),
    [
        (in_vm("virtualbox"), "10.0.2.2", "08:00:27:00:00:01", NAT),
        (in_vm("virtualbox"), "10.0.3.2", "08:00:27:00:00:01", NAT),  # the second adapter
        (in_vm("virtualbox"), "10.0.2.1", "08:00:27:00:00:01", NAT),  # a NAT network
        (in_vm("virtualbox"), "192.168.1.1", "08:00:27:00:00:01", BRIDGED),
        (in_vm("virtualbox"), "10.0.0.1", "08:00:27:00:00:01", BRIDGED),
        (in_vm("vmware"), "192.168.128.2", "00:0C:29:00:00:01", NAT),
        (in_vm("vmware"), "172.16.5.2", "00:50:56:00:00:01", NAT),
        (in_vm("vmware"), "192.168.1.254", "00:0c:29:00:00:01", BRIDGED),
        (in_vm("qemu"), "10.0.2.2", "52:54:00:12:34:56", NAT),
        (in_vm("kvm"), "192.168.122.1", "52:54:00:12:34:56", NAT),
        (in_vm("kvm"), "192.168.1.1", "52:54:00:12:34:56", UNKNOWN),
        (in_vm("parallels"), "10.211.55.1", "00:1c:42:00:00:01", NAT),
        (in_vm("hyperv"), "192.168.1.1", "00:15:5d:00:00:01", UNKNOWN),
        (in_vm("amazon"), "172.31.0.1", "0a:00:00:00:00:01", UNKNOWN),
        (in_vm("unknown hypervisor"), "10.0.2.2", "", UNKNOWN),
        (in_container("docker"), "172.18.0.1", "02:42:ac:12:00:02", NAT),
        (in_container("podman"), "10.0.2.2", "", NAT),
        (in_container("kubernetes"), "169.254.1.1", "", UNKNOWN),
        (NATIVE, "192.168.1.1", "8c:ec:4b:00:00:01", UNKNOWN),
    ],
)
def test_the_attachment_is_said_where_it_shows(
    tmp_path: Path, below: VirtualizationFacts, gateway: str, mac: str, attachment: Attachment
) -> None:
    files = {"proc/net/route": HEAD + route(gateway), "sys/class/net/eth0/address": f"{mac}\n"}
    facts = read_network(below, tree(tmp_path, files))
    assert (facts.interface, facts.gateway) == ("eth0", gateway)
    assert facts.attachment is attachment
    assert (gateway in facts.why) is (attachment is not UNKNOWN)
    assert facts.why


@pytest.mark.parametrize(
    ("mask", "mac", "attachment"),
    [
        ("255.255.240.0", "00:15:5d:a3:6b:0f", NAT),
        ("255.255.255.0", "00:15:5d:a3:6b:0f", UNKNOWN),
        ("255.255.240.0", "00:0d:3a:a3:6b:0f", UNKNOWN),  # Azure
    ],
)
def test_hyper_v_s_nat_switch_is_told_by_its_network_s_size_and_its_adapter(
    tmp_path: Path, mask: str, mac: str, attachment: Attachment
) -> None:
    to_gateway = link("172.20.240.1", "255.255.255.255")
    routes = HEAD + route("172.20.240.1") + to_gateway + link("172.20.240.0", mask)
    files = {"proc/net/route": routes, "sys/class/net/eth0/address": f"{mac}\n"}
    assert read_network(in_vm("hyperv"), tree(tmp_path, files)).attachment is attachment


def test_wsl_that_mirrors_windows_network_is_not_behind_nat(tmp_path: Path) -> None:
    root = machine("wsl2", tmp_path)
    tree(root, {"sys/class/net/loopback0/address": "00:15:5d:17:96:5a\n"})
    facts = read_network(read_virtualization(root), root)
    assert (facts.attachment, facts.why) == (BRIDGED, "WSL 2 mirrors Windows' own network")


def test_a_container_with_its_host_s_network_is_attached_as_the_host(tmp_path: Path) -> None:
    root = machine("virtualbox-nat", tmp_path)
    tree(root, {"sys/class/net/docker0/address": "02:42:00:00:00:01\n", ".dockerenv": ""})
    below = VirtualizationFacts(Kind.CONTAINER, "virtualbox", "", "docker")
    assert read_network(below, root).why == "its gateway 10.0.2.2 is that of VirtualBox' NAT"


@pytest.mark.parametrize(
    ("routes", "interface", "gateway"),
    [
        (route("10.0.0.1", 600, "wlan0") + route("10.0.0.2", 100, "eth0"), "eth0", "10.0.0.2"),
        (route("10.0.0.1", 5, "eth0", "0203") + route("10.0.0.2", 9, "eth1"), "eth1", "10.0.0.2"),
        (route("10.0.0.1", 0, "eth0", "0002") + route("10.0.0.2", 9, "eth1"), "eth1", "10.0.0.2"),
        (route(NOWHERE, 0, "ppp0", "0001"), "ppp0", NOWHERE),
        ("tun0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n", "", ""),  # half of all
        ("", "", ""),
    ],
)
def test_the_default_route_is_the_one_of_the_lowest_metric_that_is_up(
    tmp_path: Path, routes: str, interface: str, gateway: str
) -> None:
    facts = read_network(NATIVE, tree(tmp_path, {"proc/net/route": HEAD + routes}))
    assert (facts.interface, facts.gateway) == (interface, gateway)


def test_a_machine_without_a_way_out_says_so(tmp_path: Path) -> None:
    facts = read_network(in_vm("virtualbox"), tmp_path)
    assert facts == NetworkFacts("", "", UNKNOWN, "no IPv4 default route")
