"""The way out: default route, and whether a virtual machine sits behind its host's NAT."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from nunet_dms.machine.kernelfile import is_there, one_line, read_line, read_text
from nunet_dms.machine.virtualization import Kind, VirtualizationFacts

ROUTES_MAX_BYTES = 1024 * 1024
"""Of /proc/net/route: 128 for each route."""
RTF_UP, RTF_REJECT = 0x1, 0x200
"""Flags of a route (include/uapi/linux/route.h)."""

_ROUTE = re.compile(
    r"^(?P<interface>[^\s/]{1,15})\t(?P<destination>[0-9A-F]{8})\t(?P<gateway>[0-9A-F]{8})"
    r"\t(?P<flags>[0-9A-F]{4})\t\d+\t\d+\t(?P<metric>\d{1,10})\t(?P<mask>[0-9A-F]{8})\t",
    re.MULTILINE | re.ASCII,
)


class Attachment(str, Enum):
    """How a virtual network adapter is joined to the world outside."""

    NAT = "nat"
    BRIDGED = "bridged"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """Interface and IPv4 gateway of the default route (may be empty), and how it is attached."""

    interface: str
    gateway: str
    attachment: Attachment
    why: str


@dataclass(frozen=True, slots=True)
class SpeedFacts:
    """What a test of the line gave, in kbit/s, and when, in seconds since 1970."""

    down_kbps: int
    up_kbps: int
    measured_s: int


@dataclass(frozen=True, slots=True)
class _Route:
    """The default route, with its adapter's address and the length of its network's prefix."""

    interface: str
    gateway: IPv4Address
    mac: str
    prefix: int


@dataclass(frozen=True, slots=True)
class _Nat:
    """How a hypervisor's own NAT looks from inside, unless somebody renumbered it."""

    name: str
    gateways: IPv4Network
    last_byte: int
    mac: str = ""
    prefix: int | None = None

    def fits(self, route: _Route) -> bool:
        """Tell whether a default route goes through this NAT."""
        return (
            route.gateway in self.gateways
            and int(route.gateway) & 0xFF == self.last_byte
            and route.mac.startswith(self.mac)
            and self.prefix in {None, route.prefix}
        )


_QEMU_NATS = (
    _Nat("QEMU's user network", IPv4Network("10.0.2.0/24"), 2),
    _Nat("libvirt's default network", IPv4Network("192.168.122.0/24"), 1),
)
_NATS = {
    "virtualbox": (
        _Nat("VirtualBox' NAT", IPv4Network("10.0.0.0/16"), 2),
        _Nat("VirtualBox' NAT network", IPv4Network("10.0.2.0/24"), 1),
    ),
    "vmware": (
        _Nat("VMware's NAT", IPv4Network("192.168.0.0/16"), 2),
        _Nat("VMware's NAT", IPv4Network("172.16.0.0/12"), 2),
    ),
    "kvm": _QEMU_NATS,
    "qemu": _QEMU_NATS,
    "hyperv": (_Nat("Hyper-V's NAT switch", IPv4Network("172.16.0.0/12"), 1, "00:15:5d", 20),),
    "parallels": (_Nat("Parallels' shared network", IPv4Network("10.211.55.0/24"), 1),),
}
"""Sources: VirtualBox manual, "Virtual Networking"; VMware Workstation, whose NAT device is .2 of
VMnet8; QEMU, -netdev user; libvirt's network "default"; Hyper-V's default switch, which is WSL's
too, takes another /20 of 172.16.0.0/12 at each start of Windows; Azure's adapters have addresses
of another maker."""

_CONTAINER_NATS = (
    _Nat("the engine's bridge", IPv4Network("172.16.0.0/12"), 1),
    _Nat("the engine's user network", IPv4Network("10.0.2.0/24"), 2),
    _Nat("Podman's bridge", IPv4Network("10.88.0.0/16"), 1),
)
_BRIDGED_IF_NOT_NAT = frozenset({"virtualbox", "vmware"})
"""Desktop hypervisors whose other choice with a way out is the bridge. In a cloud or on a server
what is not known to be a NAT may be anything."""


def read_network(virtualization: VirtualizationFacts, root: Path = Path("/")) -> NetworkFacts:
    """Return the IPv4 default route below `root` and how it is attached, where that can be told."""
    route = _default_route(root)
    attachment, why = _attachment(root, virtualization, route)
    if route is None:
        return NetworkFacts("", "", attachment, why)
    return NetworkFacts(route.interface, str(route.gateway), attachment, why)


def _attachment(
    root: Path, below: VirtualizationFacts, route: _Route | None
) -> tuple[Attachment, str]:
    if below.kind is Kind.WSL1:
        return Attachment.BRIDGED, "WSL 1 uses Windows' own network"
    if route is None:
        return Attachment.UNKNOWN, "no IPv4 default route"
    if below.kind is Kind.WSL2 and is_there(root / "sys/class/net/loopback0"):
        return Attachment.BRIDGED, "WSL 2 mirrors Windows' own network"
    if below.container and not is_there(root / "sys/class/net/docker0"):  # else the host's network
        return _by_nat(
            _CONTAINER_NATS, route, "how its engine joined this container cannot be told"
        )
    return _of_machine(below.hypervisor, route)


def _of_machine(hypervisor: str, route: _Route) -> tuple[Attachment, str]:
    if not hypervisor:
        return Attachment.UNKNOWN, "not a virtual machine"
    unknown = f"how {hypervisor} joined this machine cannot be told from inside"
    attachment, why = _by_nat(_NATS.get(hypervisor, ()), route, unknown)
    if attachment is Attachment.UNKNOWN and hypervisor in _BRIDGED_IF_NOT_NAT:
        return Attachment.BRIDGED, f"its gateway {route.gateway} is none that {hypervisor} makes"
    return attachment, why


def _by_nat(nats: tuple[_Nat, ...], route: _Route, unknown: str) -> tuple[Attachment, str]:
    for nat in nats:
        if nat.fits(route):
            return Attachment.NAT, f"its gateway {route.gateway} is that of {nat.name}"
    return Attachment.UNKNOWN, unknown


def _default_route(root: Path) -> _Route | None:
    """Return the default route of the lowest metric (proc(5), /proc/net/route)."""
    routes = list(_ROUTE.finditer(read_text(root / "proc/net/route", ROUTES_MAX_BYTES)))
    ways_out = [
        route
        for route in routes
        if route["destination"] == route["mask"] == "00000000"
        and int(route["flags"], 16) & (RTF_UP | RTF_REJECT) == RTF_UP
    ]
    if not ways_out:
        return None
    best = min(ways_out, key=lambda route: int(route["metric"]))
    interface, gateway = best["interface"], _address(best["gateway"])
    masks = (
        int(_address(route["mask"]))
        for route in routes
        if route["interface"] == interface
        and int(_address(route["destination"])) == int(gateway) & int(_address(route["mask"]))
    )
    # a route to the gateway alone, which DHCP clients add, says nothing of the network's size
    prefix = max((mask.bit_count() for mask in masks if mask != 0xFFFFFFFF), default=0)
    mac = read_line(root / "sys/class/net" / interface / "address").lower()
    return _Route(one_line(interface), gateway, mac, prefix)


def _address(text: str) -> IPv4Address:
    """Read an address as the kernel writes it: in hex, in the byte order of the CPU.

    All CPUs that we know a Docker engine for, but IBM's s390x, are little-endian.
    """
    return IPv4Address(int.from_bytes(bytes.fromhex(text), "little"))
