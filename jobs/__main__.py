"""``python -m jobs`` is ``pattern-aggregates``."""

from jobs.cli import main

main()
