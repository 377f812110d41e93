"""One module for each detector, of its name; the module's docstring is its specification.

``jobs.registry`` finds them here. A module whose name begins with an underscore is a part of one detector:
``_baseline``, ``_deviations``, ``_long_episodes`` and ``_unusual_hours`` of ``anomaly``, ``_steps`` and ``_chains`` of
``sequence``.
"""
