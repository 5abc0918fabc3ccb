"""NuNet device management service: paid container jobs on a provider's machine."""

__version__ = "0.1.0"
