"""The arena: rules of different kinds, ours among them, over the same homes: ``python -m tests.arena``.

A rule is one file in ``tests/arena/rules`` with a ``RULE``: an ``AlarmRule`` or a ``PairRule`` of ``tests.arena.rule``.
Copy one that is there, say where its idea is described, and run ``make arena``: nothing else has to be changed.
"""
