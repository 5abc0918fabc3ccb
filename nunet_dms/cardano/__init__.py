"""Cardano payments: read, verify and build transactions; the escrow; the chain's backends."""
