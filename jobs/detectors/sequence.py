"""Which changes of state followed each other repeatedly: one row for each chain of 2 to 5 steps ``entity_id:state``.

* **Steps** are the first events of bursts: events within 120 s of the same entity's previous one do not count. Step b
  follows step a if it is the first b after a, comes before the next a, and within 120 s. What other entities do in
  between does not matter: a second person at home would break up a sequence of direct neighbours.
* **Links** are chains of two steps, a → b. They are kept if b comes within 10, 30 or 120 s after a more often than the
  b's around a explain (± 600, 600, 900 s; ``close_pairs.find_close_pairs``), and at least three times. At most 400 are
  kept, those with the smallest p.
* **Chains** grow over these links, with no entity twice. A further step is kept if it follows the chain more often than
  its points around explain (binomial tail, Benjamini and Hochberg over all chains of this length), and at least three
  times.
* **Rows** are the chains that are not part of a longer one with as many occurrences; at most 50, those with the most
  evidence (the smallest product of p over the steps).

``frequency`` counts the occurrences that do not overlap, ``avg_duration_seconds`` is their mean from first to last
step, and ``confidence`` is the Wilson 95 % lower bound of how often the
last step follows once the others have happened.

Not every chain is a habit. Events caused by automations, chains over two entities of one device, and steps that happen
simultaneously (mostly within half a second) are left out by default, and counted in the reason. The setting
``linked = "flag"`` keeps them and says in ``linked_by`` what links them.

A worked example: four times a day a door, then a hall lamp, then the kitchen lamp.

>>> from jobs.activity.building import example_day
>>> opening = [(0, entity, "off") for entity in ("binary_sensor.door", "light.hall", "light.kitchen")]
>>> steps = [("binary_sensor.door", 0, 1), ("light.hall", 0.1, 5), ("light.kitchen", 0.3, 9)]
>>> log = example_day(opening + [
...     (visit + (on if state == "on" else off), entity, state)
...     for visit in (421, 753, 1044, 1297) for entity, on, off in steps for state in ("on", "off")])
>>> (row,), reason = Sequence().detect(log)
>>> row.sequence
['binary_sensor.door:on', 'light.hall:on', 'light.kitchen:on']
>>> row.frequency, row.avg_duration_seconds, round(row.confidence, 2)
(4, 18.0, 0.51)
>>> reason
'16 two-step chains tested, 3 more frequent than by chance; 1 longer chain tested; 1 chain kept'
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from jobs.activity.events import AUTOMATION, DayLog
from jobs.activity.window import SECOND
from jobs.detector import Evidence, Finding, detector, left_out
from jobs.detectors._chains import Chain, grow, without_contained
from jobs.detectors._steps import SCALES, Steps
from jobs.statistics.close_pairs import find_close_pairs
from jobs.statistics.intervals import wilson_lower
from storage.columns import to_json
from storage.models import JSON_BYTES, SequenceDaily
from storage.plurals import counted


@detector
@dataclass(frozen=True)
class Sequence:
    """The ``sequence`` detector.

    Attributes:
        max_steps: The maximum number of steps of a chain.
        max_links: The maximum number of links that chains grow over; those with the smallest p are used.
        max_rows: The maximum number of rows; the chains with the most evidence are kept.
        false_discovery_rate: The share of links, and of longer chains, that may be due to chance.
        linked: What to do with steps that an automation, a device or a group links: leave them out or flag them.
    """

    name: ClassVar = "sequence"
    version: ClassVar = 2
    model: ClassVar = SequenceDaily

    max_steps: Annotated[int, Field(ge=2, le=5)] = 5
    max_links: Annotated[int, Field(ge=1, le=10_000)] = 400
    max_rows: Annotated[int, Field(ge=1, le=1000)] = 50
    false_discovery_rate: Annotated[float, Field(gt=0, lt=1)] = 0.05
    linked: Literal["exclude", "flag"] = "exclude"

    def detect(self, log: DayLog) -> Finding:
        """Return the day's chains; see the module's docstring."""
        steps, notes = self._steps(log)
        owner = steps.owner(same_device=self.linked == "flag")
        pairs = find_close_pairs(steps.points, SCALES, owner, ordered=True, rate=self.false_discovery_rate)
        for bound in pairs.left_out(("step", "steps"), ("two-step chain", "two-step chains")):
            notes += left_out(*bound)
        unused = pairs.found - len(pairs.p)
        links = steps.links(pairs)
        if self.linked == "exclude":
            simultaneous = sum(link.linked_by is not None for link in links)
            notes += left_out(
                simultaneous, "two-step chain that happens simultaneously", "two-step chains that happen simultaneously"
            )
            links = [link for link in links if link.linked_by is None]
        beyond = f"beyond max_links = {self.max_links}"
        notes += left_out(len(links) - self.max_links, f"two-step chain {beyond}", f"two-step chains {beyond}")
        chains, longer = grow(steps, links[: self.max_links], self.max_steps, self.false_discovery_rate)
        chains = without_contained(chains)
        chains.sort(key=lambda chain: (chain.evidence, chain.steps))
        storable = [chain for chain in chains if _is_storable([steps.step_of(symbol) for symbol in chain.steps])]
        notes += left_out(
            len(chains) - len(storable),
            "chain that is longer than 1 KB or not valid text",
            "chains that are longer than 1 KB or not valid text",
        )
        beyond = f"beyond max_rows = {self.max_rows}"
        notes += left_out(len(storable) - self.max_rows, f"chain {beyond}", f"chains {beyond}")
        rows = [_row(steps, chain, log) for chain in storable[: self.max_rows]]
        rows.sort(key=lambda row: row.sequence_id)
        frequent = f"{len(links) + unused or 'none'} more frequent than by chance"
        tested = f"{counted(pairs.tested, 'two-step chain')} tested, {frequent}; "
        tested += (
            f"{counted(longer, 'longer chain')} tested; {counted(len(rows), 'chain') if rows else 'no chain'} kept"
        )
        return Finding(rows, "; ".join((tested, *notes)))

    def explain(self, row: SequenceDaily, log: DayLog) -> Evidence:
        """Return each occurrence with the times of its steps, and how often each step followed, against chance."""
        steps, _ = self._steps(log)
        symbols = [steps.symbol_of(step) for step in row.sequence]
        headings = *row.sequence, "seconds", ""
        if -1 in symbols:
            return Evidence(headings, [], ("the raw events no longer contain each of its steps",))
        path, notes = steps.paths_from(symbols[0]), []
        for first, second in itertools.pairwise(symbols):
            following = steps.following(first, second)[path[:, -1] - steps.first_point(first)]
            (p,), (expected,) = steps.step_p([path[:, -1]], [following], [second])
            occurs = following >= 0
            notes.append(
                f"{row.sequence[path.shape[1]]} follows {np.count_nonzero(occurs)} of {len(path)} times, "
                f"{expected:.2g} expected by chance, p = {p:.2g}"
            )
            path = np.column_stack((path[occurs], following[occurs]))
        frequency = set(steps.without_overlaps(path[:, 0], path[:, -1])[0].tolist())
        lines: list[tuple[str | int | float, ...]] = [
            (*map(log.clock, at), round((at[-1] - at[0]) / SECOND, 1), "" if point in frequency else "overlaps another")
            for point, at in zip(path[:, 0].tolist(), steps.at[path].tolist(), strict=True)
        ]
        return Evidence(headings, lines, tuple(notes))

    def _steps(self, log: DayLog) -> tuple[Steps, list[str]]:
        """Return the steps to look at, and what was left out."""
        if self.linked == "flag":
            return Steps(log, log.events), []
        automatic = log.events.cause == AUTOMATION
        count = int(np.count_nonzero(automatic))
        notes = left_out(count, "event caused by an automation", "events caused by automations")
        return Steps(log, log.events[~automatic]), notes


def _is_storable(sequence: list[str]) -> bool:
    """Return whether a sequence fits a JSON field."""
    try:
        return len(to_json(sequence).encode()) <= JSON_BYTES
    except UnicodeEncodeError:  # half of a surrogate pair, which no store keeps
        return False


def _row(steps: Steps, chain: Chain, log: DayLog) -> SequenceDaily:
    """Return the aggregate of one chain."""
    sequence = [steps.step_of(symbol) for symbol in chain.steps]
    first, last = steps.without_overlaps(chain.first, chain.last)
    return SequenceDaily(
        date=log.window.day,
        sequence_id=hashlib.sha256(to_json(sequence).encode()).hexdigest()[:16],
        sequence=sequence,
        frequency=len(first),
        avg_duration_seconds=float((steps.at[last] - steps.at[first]).mean()) / SECOND,
        confidence=wilson_lower(len(chain.first), chain.begun),
        linked_by=chain.linked_by,
    )
