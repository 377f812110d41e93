"""The command line: parse, call, render, exit code. One file a command; ``app`` holds what they share."""

from jobs.cli import backfill, demo, detectors, doctor, init, query, run, status
from jobs.cli.app import app

__all__ = ["backfill", "demo", "detectors", "doctor", "init", "main", "query", "run", "status"]


def main() -> None:
    """Entry point of ``pattern-aggregates``."""
    app(prog_name="pattern-aggregates")
