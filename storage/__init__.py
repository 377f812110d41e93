"""Keeping: what a day's aggregates are, where they lie, and how other programs read them.

Reading order: ``models`` (the schema), ``dates``, ``columns`` (how any model becomes columns), ``batch`` (one day's
rows and the runs that made them), ``store`` (the contracts), ``backends`` (SQL and memory), ``ledger`` (what is
done), ``query`` (the module other programs import). Nothing here imports ``jobs``.
"""
