"""The platform's rules: Windows below or beside us, virtual machines, containers, systemd."""

from __future__ import annotations

import re

from nunet_dms.errors import ExitCode
from nunet_dms.machine.network import Attachment
from nunet_dms.machine.virtualization import Kind
from nunet_dms.provider.doctor.check import ERROR, NOTE, WARNING, Check
from nunet_dms.provider.doctor.findings import Answer, error, fine, note, warning
from nunet_dms.provider.doctor.patient import Patient

OLDEST_WSL_KERNEL = (5, 15)
"""Of the WSL that comes by `wsl --update`; what Windows itself brought along has 5.10 or older and
cannot start systemd (WSL 0.67.6 was the first that can)."""

BRIDGES = {
    "virtualbox": "power it off, then on the host: VBoxManage modifyvm NAME --nic1 bridged"
    " --bridgeadapter1 ADAPTER",
    "vmware": "in its settings, under Network Adapter: Bridged",
    "kvm": "on the host: virsh edit NAME, and give the interface type='bridge' and the name of"
    " a bridge",
    "hyperv": "give it an external virtual switch in Hyper-V's switch settings",
    "parallels": "in its settings, under Hardware, Network: Bridged",
}
"""How a virtual machine gets an address of its own in the owner's network."""
BRIDGES_OTHERS = "set its network adapter to bridged, in the program that runs it"

_RELEASE = re.compile(r"(\d{1,4})\.(\d{1,4})")


def _wsl_version(patient: Patient) -> Answer:
    kind = patient.found.virtualization.kind
    if kind is Kind.WSL1:
        return error(
            "this is WSL 1",
            "it only imitates a Linux kernel, and Docker's engine needs a real one",
            "in Windows: wsl --set-version NAME 2 (the name: wsl --list)",
            ExitCode.NO_CAPACITY,
        )
    return fine("this is WSL 2" if kind is Kind.WSL2 else "this is not WSL")


def _wsl_kernel(patient: Patient) -> Answer:
    kernel = patient.found.platform.kernel
    parts = _RELEASE.match(kernel)
    is_old = parts is not None and (int(parts[1]), int(parts[2])) < OLDEST_WSL_KERNEL
    if patient.found.virtualization.kind is Kind.WSL2 and is_old:
        return warning(
            f"WSL's kernel is {kernel}",
            "it belongs to a WSL that cannot start systemd and gets no more repairs",
            "in Windows: wsl --update, then: wsl --shutdown",
        )
    return fine(f"the kernel is {kernel}")


def _systemd(patient: Patient) -> Answer:
    systemd, kind = patient.found.systemd, patient.found.virtualization.kind
    if systemd.running:
        return fine("systemd runs")
    if kind is Kind.WSL2 and systemd.wsl_enabled:
        return warning(
            "/etc/wsl.conf asks for systemd, but it does not run yet",
            "nobody starts Docker and the worker when WSL starts",
            "in Windows: wsl --shutdown, then open this terminal again",
        )
    if kind is Kind.WSL2:
        return warning(
            "systemd does not run in this WSL",
            "nobody starts Docker and the worker when WSL starts",
            "put the lines [boot] and systemd=true into /etc/wsl.conf, then in Windows:"
            " wsl --shutdown",
        )
    return note(
        "systemd does not run this system",
        "nobody starts the worker again after a reboot",
        "nunet worker start (after a reboot: crontab -e, @reboot nunet worker start)",
    )


def _vm_network(patient: Patient) -> Answer:
    below, network = patient.found.virtualization, patient.found.network
    is_nat = network.attachment is Attachment.NAT
    if below.kind is Kind.WSL2 and is_nat:
        return note(
            f"WSL is behind Windows' NAT: {network.why}",
            "this worker only calls out, so that it works here too",
        )
    if below.kind is not Kind.VM:
        return fine("this is not a virtual machine with a network of its own")
    if is_nat:
        return warning(
            f"this virtual machine ({below.hypervisor}) is behind NAT: {network.why}",
            "the requirements ask for a bridged adapter. This worker only calls out, so that it"
            " works behind NAT too, but a hypervisor's NAT is slower and may drop connections"
            " that wait long",
            BRIDGES.get(below.hypervisor, BRIDGES_OTHERS),
        )
    if network.attachment is Attachment.UNKNOWN:
        return note(
            f"NAT or bridged cannot be told: {network.why}",
            "the requirements ask for a bridged adapter; this worker works behind NAT too",
        )
    return fine(f"this virtual machine is bridged: {network.why}")


def _vm_user(patient: Patient) -> Answer:
    user = patient.user
    if patient.found.virtualization.kind is not Kind.VM:
        return fine("this is not a virtual machine")
    if user.may_sudo:
        return fine(f"{user.name} may use sudo")
    if user.may_sudo is None:
        return note(
            f"whether user {user.name or user.uid} may use sudo cannot be told",
            "an unattended virtual machine needs a user who can mend it from afar",
            "sudo -v",
        )
    return warning(
        f"{user.name} is in none of the groups sudo, wheel and admin",
        "an unattended virtual machine cannot be mended without a user who may use sudo",
        f"su -c 'usermod -aG sudo {user.name}', then log in again",
    )


def _gpu_in_vm(patient: Patient) -> Answer:
    found = patient.found
    if found.virtualization.kind is Kind.VM and found.gpus.gpus:
        names = ", ".join(gpu.name or gpu.vendor for gpu in found.gpus.gpus)
        return warning(
            f"this virtual machine has a GPU: {names}",
            "ML on a GPU is not run in a virtual machine: the GPU will earn nothing here",
            "install nunet-dms on the machine itself, under Linux or WSL 2; CPU jobs run here too",
        )
    return fine("no GPU in a virtual machine")


def _windows(patient: Patient) -> Answer:
    boot = patient.found.dual_boot
    cure = "start Windows, there as administrator: powercfg /h off, then shut it down"
    why = "a hibernated Windows has its disks still in use: what Linux writes there is lost"
    if boot.hibernated:
        return warning(boot.why, why, cure)
    if boot.windows and boot.hibernated is None:
        names = ", ".join(boot.windows)
        return note(
            f"Windows is here too ({names}); whether it is hibernated: {boot.why}", why, cure
        )
    return fine(boot.why)


def _container(patient: Patient) -> Answer:
    below = patient.found.virtualization
    if below.container:
        return note(
            f"this is a {below.container} container: {below.source}",
            "jobs are containers of the engine that is reached from here; their folders must lie"
            " at the same path for that engine",
            "nunet doctor --proof",
        )
    return fine("this is not a container")


CHECKS = (
    Check("platform.wsl_version", _wsl_version, (ERROR,)),
    Check("platform.wsl_kernel", _wsl_kernel, (WARNING,)),
    Check("platform.systemd", _systemd, (NOTE, WARNING)),
    Check("platform.vm_network", _vm_network, (NOTE, WARNING)),
    Check("platform.vm_user", _vm_user, (NOTE, WARNING)),
    Check("platform.gpu_in_vm", _gpu_in_vm, (WARNING,)),
    Check("platform.windows", _windows, (NOTE, WARNING)),
    Check("platform.container", _container, (NOTE,)),
)
