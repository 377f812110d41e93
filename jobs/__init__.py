"""The nightly job: which days are due, and how a day is computed and written.

Reading order: ``activity`` (the events of a day), ``sources`` (where raw events are read from), ``registry`` and
``detectors`` (what is computed from them, with ``statistics``), ``due`` and ``nightly`` (which days), ``pipeline`` (one
day), ``wiring`` (which source, store and ledger the settings name), ``daemon`` (every night), ``cli`` (commands).
"""
