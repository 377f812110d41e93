"""What happened on a day, as columns.

Reading order: ``window`` (a local day), ``entities`` (classes and states), ``events`` (what detectors are given),
``tracing`` (the rules of activity), ``building`` (from what a source reads to the log of a day), ``spans``.
"""
