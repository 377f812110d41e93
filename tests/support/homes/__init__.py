"""Homes in which people live for weeks, made by seed, with planted anomalies whose truth is known.

    home = LivedHome(LIVES["teenagers"], seed=9000, entities=40, plan=EVERYTHING)
    home.days, home.judged        all days; those after the baseline of four weeks
    home.store()                  the stored rows that anomaly reads, made directly from the columns (fast)
    home.log(day)                 the same day as detectors of raw events get it (slower)
    home.planted                  what was planted: kind, entity, day, and the days on which it may be reported
    home.circumstances[day]       what the whole home was like, where it was not usual: guests, away, return, feast ...

``LIVES`` has the ways of life: regular, wild days, lengths with heavy tails, shift workers, teenagers, guests,
holidays, clock changes, seasons. ``Plan`` says what to plant and how often: ``NOTHING`` and ``EVERYTHING`` are two.
Homes have any number of entities from ``MIN_ENTITIES`` on. The same arguments give the same home.

Seeds below 100 are for tuning; report others.
"""
