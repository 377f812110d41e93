"""Nights that take no time, for the tests of the daemon."""

from tests.support.nights import frozen, nights

__all__ = ["frozen", "nights"]
