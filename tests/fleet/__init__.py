"""Simulations of fleets, too long for ordinary tests: ``python -m tests.fleet --help``."""
