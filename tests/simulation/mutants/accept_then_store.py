"""An offer is accepted before it is stored: a crash between, and nobody here knows of the job."""

from nunet_dms.errors import NunetError
from nunet_dms.node.admission import read_offer
from nunet_dms.node.inbox import InboxHandler
from nunet_dms.protocol.node import Offer

PLAIN = InboxHandler._take_offer


def take_offer(self: InboxHandler, offer: Offer) -> None:
    job = read_offer(offer, offer.ticket.public_key)
    try:
        self._deps.oracle.accept(job.job_id, job.ticket.ticket_id)
    except NunetError:
        return
    PLAIN(self, offer)


CHANGES = ((InboxHandler, "_take_offer", take_offer),)
