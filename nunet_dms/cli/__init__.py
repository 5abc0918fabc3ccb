"""The `nunet` command: one file for each group; parse, call, return a result; render prints."""
