"""How fast the line to the Oracle is, measured against its own speed test."""
