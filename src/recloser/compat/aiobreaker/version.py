"""The version of the interface this facade has: the original's."""

__version__ = "1.2.0"
short_version = "1.2"
