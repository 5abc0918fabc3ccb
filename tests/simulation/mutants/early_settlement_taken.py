"""News of a settlement are taken before the answer to the report: the job is reported for ever."""

from nunet_dms.node.inbox import InboxHandler


def puts_off(_self: InboxHandler, _row: object) -> bool:
    return False


CHANGES = ((InboxHandler, "_puts_off", puts_off),)
