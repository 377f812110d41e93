"""The daemon: ``loop`` wakes the nightly job; ``health``, ``metrics`` and ``http`` are what it tells others."""
