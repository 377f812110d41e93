"""Rollups: weeks and months computed from stored daily rows; one file for each, and parts whose names begin with ``_``.

Of ``storage`` they use ``storage.query`` alone, as anybody's own rollup can (docs/rollups.md).
"""
