"""Daily aggregates: their schema, where they are stored, and how other programs read them.

Reading order: ``models`` (the schema), ``dates``, ``columns`` (how any model becomes columns), ``batch`` (one day's
rows and the records of their runs), ``store`` (the contracts), ``summaries``, ``backends``, ``ledger`` (what is done),
``query`` (the module that other programs import). Nothing here imports ``jobs``.
"""
