"""The worker does not stop a job of which the Oracle says that its lease is lost."""

from dataclasses import replace

from nunet_dms.node.worker import Worker
from nunet_dms.protocol.node import HeartbeatReply

PLAIN = Worker._beaten


def beaten(self: Worker, value: object) -> None:
    assert isinstance(value, HeartbeatReply)
    PLAIN(self, replace(value, lost=()))


CHANGES = ((Worker, "_beaten", beaten),)
