"""What was announced over a channel is kept, channel by channel, and nothing that waits is forgotten."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from storage.dates import ONE_DAY, DateRange
from storage.ledger.announcements import Announced, AnomalyKey, ChannelState
from storage.ledger.ledger import Ledger
from tests.support.rows import COMPUTED_AT, DAY

LAMP = AnomalyKey(DAY, "light.hall", "count_high")
DOOR = AnomalyKey(DAY, "binary_sensor.door", "still_active")


def test_a_day_that_was_looked_at_keeps_what_became_of_its_anomalies(ledger: Ledger) -> None:
    channel = ledger.announcements("mqtt")
    channel.replace_day(DAY, "first", {LAMP: Announced.WAITING, DOOR: Announced.KNOWN})
    assert channel.judged() == {DAY: "first"}
    assert channel.waiting() == {LAMP}
    channel.mark([LAMP], Announced.DELIVERED)
    assert channel.statuses() == {LAMP: Announced.DELIVERED, DOOR: Announced.KNOWN}
    assert channel.statuses(DateRange(DAY + ONE_DAY, DAY + ONE_DAY)) == {}


def test_another_judgement_forgets_what_waited_and_is_no_longer_found_but_not_what_was_delivered(
    ledger: Ledger,
) -> None:
    channel = ledger.announcements("mqtt")
    channel.replace_day(DAY, "first", {LAMP: Announced.DELIVERED, DOOR: Announced.WAITING})
    channel.replace_day(DAY, "second", {})
    assert channel.judged() == {DAY: "second"}
    assert channel.statuses() == {LAMP: Announced.DELIVERED}


def test_channels_are_kept_apart(ledger: Ledger) -> None:
    ledger.announcements("mqtt").replace_day(DAY, "first", {LAMP: Announced.WAITING})
    assert ledger.announcements("messages").statuses() == {}
    assert ledger.announcements("messages").judged() == {}


def test_the_state_of_a_channel_is_its_newest_delivery_or_error(ledger: Ledger) -> None:
    channel = ledger.announcements("messages")
    assert channel.state() == ChannelState()
    channel.replace_day(DAY, "first", {LAMP: Announced.WAITING})
    channel.note_error("no route to host")
    assert ledger.channels() == {"messages": ChannelState(error="no route to host", waiting=1)}
    channel.mark([LAMP], Announced.DELIVERED)
    channel.note_delivery(DAY)
    assert channel.state() == ChannelState(COMPUTED_AT.isoformat(), DAY)
    channel.note_delivery()
    assert channel.state().sent_on == DAY


def test_old_days_are_forgotten_but_not_what_waits(ledger: Ledger) -> None:
    channel = ledger.announcements("mqtt")
    channel.replace_day(DAY, "first", {LAMP: Announced.WAITING, DOOR: Announced.DELIVERED})
    channel.forget_before(DAY)
    assert len(channel.statuses()) == 2
    channel.forget_before(DAY + ONE_DAY)
    assert channel.statuses() == {LAMP: Announced.WAITING}
    assert channel.judged() == {}


def test_a_channel_can_be_forgotten_without_the_others(ledger: Ledger) -> None:
    for name in ("mqtt", "messages"):
        channel = ledger.announcements(name)
        channel.replace_day(DAY, "first", {LAMP: Announced.WAITING})
        channel.note_error("down")
    ledger.announcements("mqtt").forget()
    assert list(ledger.channels()) == ["messages"]
    assert ledger.announcements("mqtt").judged() == {}


def test_an_anomaly_of_a_renamed_entity_is_still_the_one_that_was_announced(ledger: Ledger) -> None:
    channel = ledger.announcements("mqtt")
    channel.replace_day(DAY, "first", {LAMP: Announced.DELIVERED})
    ledger.record_names({"light.hall": "key", "light.other": "other"})
    ledger.record_names({"light.entrance": "key", "light.other": "other"})
    assert channel.statuses() == {LAMP._replace(entity_id="light.entrance"): Announced.DELIVERED}


def test_a_ledger_that_does_not_exist_has_no_channels(tmp_path: Path) -> None:
    with Ledger(tmp_path / "none.db", clock=lambda: dt.datetime.now(dt.UTC), read_only=True) as ledger:
        assert ledger.channels() == {}
