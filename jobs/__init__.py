"""Doing: what happens at night.

Reading order: ``activity`` (what happened on a day), ``sources`` (where raw events come from), ``registry`` and
``detectors`` (what is computed from them, with ``statistics``), ``pipeline`` (one day), ``nightly`` (which days),
``wiring`` (what is real), ``daemon`` (when), ``cli`` (what a person types).
"""
