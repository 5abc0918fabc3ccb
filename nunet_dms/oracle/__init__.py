"""The Oracle: verifies payments, matches jobs to nodes, keeps what they say, settles."""
