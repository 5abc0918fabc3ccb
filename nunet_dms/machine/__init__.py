"""Facts about this computer, each with the place that it was read from."""
