"""The command line: parse, call, render, exit code. One file a command; ``app`` holds what they share."""

from jobs import interrupts
from jobs.cli import app, backfill, demo, detectors, doctor, explain, health, init, query, run, serve, status

__all__ = [
    "app",
    "backfill",
    "demo",
    "detectors",
    "doctor",
    "explain",
    "health",
    "init",
    "main",
    "query",
    "run",
    "serve",
    "status",
]


def main() -> None:
    """Entry point of ``pattern-aggregates``."""
    interrupts.watch()
    app.app(prog_name="pattern-aggregates")
