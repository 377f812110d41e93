"""A store that answers badly, and one that is down for an hour of each night."""

from __future__ import annotations

import datetime as dt
import re
import signal
from collections.abc import Iterator

from storage.dates import ONE_DAY
from storage.ledger.entry import Status
from tests.faults.homes import DAYS, EXIT_UNAVAILABLE, ZONE, Bench, HomeUnderTest, InfluxStoreKind, Result
from tests.support.bad_proxy import proxy
from tests.support.influxdb import Influxd, find_binary
from tests.support.simulated_nights import serve

FAULT_SHARE = 0.1  # of all requests, for each kind of fault
TIMEOUT_SECONDS = 0.5
NIGHTS = 5
DOWN = dt.time(3, 30), dt.time(4, 30)


def bad_answers(bench: Bench) -> Iterator[Result]:
    """Disturb a tenth of all requests each by an error 500, a reset, a lost answer and a late answer."""
    for kind in bench.influx_stores():
        result = Result(f"500, reset, lost answer, slow answer: 10 % each, {kind.name}")
        with proxy(kind.server.url, seed=bench.seed, slow_seconds=2 * TIMEOUT_SECONDS) as between:
            disturbed = InfluxStoreKind(kind.server, url=between.url, timeout_seconds=TIMEOUT_SECONDS)
            between.share.value = FAULT_SHARE
            home = bench.home(disturbed)
            codes = bench.until_done(home, result, "")
            result.check(home.difference(bench.expected(kind)))
            result.tries = sum(between.counts().values())
            counts = ", ".join(f"{count} {what}" for what, count in between.counts().items())
        calls = f"{len(codes)} calls, {codes.count(EXIT_UNAVAILABLE)} with exit code {EXIT_UNAVAILABLE}"
        result.seen = f"{counts}; a backfill in {calls}"
        yield result


def down_at_night(bench: Bench) -> Iterator[Result]:
    """Kill the server when a night begins and start it an hour later, under a running daemon."""
    for kind in bench.influx_stores():
        binary = find_binary(kind.server.major)
        assert binary is not None
        process = Influxd(binary, kind.server.major, bench.new_folder())
        try:
            yield _down_at_night(bench, kind, process)
        finally:
            process.stop()


def _down_at_night(bench: Bench, kind: InfluxStoreKind, process: Influxd) -> Result:
    result = Result(f"store down for an hour of each simulated night, {kind.name}")
    home = bench.home(InfluxStoreKind(process.start()))
    first = DAYS.last - (NIGHTS - 1) * ONE_DAY
    result.check("" if home.call("backfill", str(DAYS.first), str(first - ONE_DAY)) == 0 else home.log_tail())
    is_down = False

    def watch(now: dt.datetime) -> None:
        nonlocal is_down
        was_down, is_down = is_down, DOWN[0] <= now.time() < DOWN[1]
        if is_down and not was_down:
            process.stop(signal.SIGKILL)
            result.tries += 1
        elif was_down and not is_down:
            result.check(_unwritten(home, now.date() - ONE_DAY), now.date())
            process.start()

    begin = dt.datetime.combine(first, dt.time(12), ZONE)
    daemon = serve(home.config, begin, begin + NIGHTS * ONE_DAY, watch)
    result.check(home.difference(bench.expected(kind)))
    codes = re.findall(r'runs_total{exit_code="(\d+)"} (\d+)', daemon.metrics.text())
    counts = (f"{count} with exit code {code}" for code, count in codes if int(count))
    result.seen = f"runs of the daemon: {', '.join(counts)}"
    return result


def _unwritten(home: HomeUnderTest, day: dt.date) -> str:
    """Return in words what is wrong with the ledger about a day that no store has accepted; empty if nothing is."""
    statuses = {status for (of, _), status in home.entries().items() if of == day}
    return (
        ""
        if statuses == {Status.STAGED, Status.DEFERRED}
        else f"with the store down, the ledger says {sorted(statuses)}"
    )
