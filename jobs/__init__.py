"""Doing: what happens at night.

Reading order: ``window`` (a local day), ``entities`` (what counts as activity), ``events`` (the activity of a day),
``sources`` (where raw events come from), ``registry`` and ``detectors`` (what becomes of them), ``pipeline`` (one day),
``nightly`` (which days), ``wiring`` (what is real), ``daemon`` (when), ``health``, ``metrics`` and ``endpoint`` (what
it says of itself), ``cli``.
"""
