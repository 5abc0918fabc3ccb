"""News of a settlement are taken before the answer to the report: the job is reported for ever."""

from nunet_dms.node.inbox import InboxHandler


def is_early(_self: InboxHandler, _row: object) -> bool:
    return False


CHANGES = ((InboxHandler, "_is_early", is_early),)
