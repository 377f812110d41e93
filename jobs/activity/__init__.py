"""What happened on a day, as columns.

Reading order: ``window`` (a local day), ``states`` (what words mean), ``entities`` (their kinds), ``events`` (what
detectors are given), ``tracing`` and ``settling`` (the rules of activity), ``episodes``, ``reclassified``,
``reading`` and ``building`` (from what a source reads to the log of a day), ``spans``.
"""
