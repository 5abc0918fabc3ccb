"""The requester's side: describe a job, pay for it, follow it, fetch what it made."""
