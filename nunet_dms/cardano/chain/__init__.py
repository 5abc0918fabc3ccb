"""Where transactions are sent and looked up: the chain backends, and the development ledger."""
