"""A chain goes by its entities where people read; programs get its id."""

from __future__ import annotations

from jobs.cli.query import _named
from jobs.names import Names

NAMES = Names({"light.hall": "Hall lamp", "switch.tv": "TV"})


def test_a_chain_is_named_by_its_entities_in_order_and_a_pair_by_both() -> None:
    chain = {"kind": "chain", "habit": "5a85d003af6587df", "entities": ["switch.tv", "light.hall"]}
    assert _named(chain, NAMES)["habit"] == "TV, then Hall lamp"
    pair = {"kind": "pair", "habit": "light.hall|switch.tv", "entities": ["light.hall", "switch.tv"]}
    assert _named(pair, NAMES)["habit"] == "Hall lamp and TV"
    assert _named({"kind": "chain", "habit": "5a85d003af6587df"}, NAMES)["habit"] == "5a85d003af6587df"
