"""What people are told after a run: a device in Home Assistant by MQTT, messages, and pings of a monitor.

Reading order: ``publisher`` (the contract), ``news`` (of a day, and of a run), ``outbox`` (what of it is new),
``mqtt/``, ``messages``, ``pings`` and ``channels`` (which opens them), ``publishing`` (all of it around a run).

Publishing is never a part of the night's work: whatever goes wrong here is a warning, waits in the ledger and is tried
again after the next run.
"""
