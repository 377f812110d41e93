"""Buckets of InfluxDB 2.x and databases of 1.x: whether they are there, how long they keep, and making them so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

from storage.drivers.influxdb.connection import Connection, Response
from storage.drivers.influxdb.influxql import Query, quote_name
from storage.errors import PatternAggregatesError

SECONDS_A_DAY: Final = 86_400
SHARD_DAYS: Final = 7  # fewer shards than the default makes: half the time for a range, two thirds for a write
MAPPING_HINT: Final = "Delete the mapping (influx v1 dbrp list), or name the bucket that it means."
SHORT_SHARD_DAYS: Final = 1  # where less than a week is kept: a shard group must not be longer than that

_CREATED = 201
_OK = 200
_NOT_FOUND = 404
_UNPROCESSABLE = 422
_POLICY = "autogen"  # what 1.x calls the policy of a database made without any


class Bucket(NamedTuple):
    """What is known of a bucket.

    Attributes:
        id: Its id; empty on 1.x.
        retention_seconds: How long it keeps points; 0 for ever.
        shard_seconds: The length of a shard group; 0 if not told.
        policy: The retention policy on 1.x; empty on 2.x, and where a database has none by default.
    """

    id: str
    retention_seconds: int
    shard_seconds: int
    policy: str = ""

    def keeps(self, days: int) -> bool:
        """Whether it keeps points for so many days (0 for ever)."""
        return self.retention_seconds == days * SECONDS_A_DAY


def find_bucket(connection: Connection, name: str) -> Bucket | None:
    """A bucket as the server describes it; None if there is none, or none that the token may see.

    Raises:
        PatternAggregatesError: As the connection's errors say.
    """
    if not connection.server.is_v2:
        return _look_up_database(connection, name)
    reply = connection.request("GET", "/api/v2/buckets?" + urlencode({"org": connection.server.org, "name": name}))
    if reply.status == _NOT_FOUND and "bucket" in reply.message():
        return None
    if reply.status != _OK:
        raise connection.error_for(reply)
    for found in reply.json().get("buckets", ()):
        rule: dict[str, int] = next(iter(found.get("retentionRules") or ()), {})
        return Bucket(found["id"], rule.get("everySeconds", 0), rule.get("shardGroupDurationSeconds", 0))
    return None


def create(connection: Connection, name: str, days: int) -> None:
    """Make a bucket that keeps points for so many days (0 for ever), in shard groups of a week at most.

    Raises:
        PatternAggregatesError: As the connection's errors say; where the token does not suffice it says what it lacks.
    """
    if not connection.server.is_v2:
        database, _, policy = name.partition("/")
        if policy:
            _execute(connection, f"CREATE DATABASE {quote_name(database)}")
            _execute(
                connection, f"CREATE RETENTION POLICY {quote_name(policy)} ON {quote_name(database)} {_clauses(days)}"
            )
        else:
            _execute(
                connection, f"CREATE DATABASE {quote_name(database)} WITH {_clauses(days)} NAME {quote_name(_POLICY)}"
            )
        return
    org = connection.server.org
    reply = connection.request("GET", "/api/v2/orgs?" + urlencode({"org": org}))
    if reply.status != _OK:
        raise _lacking(connection, reply, f"see organisation {org!r}", "read:orgs")
    found = reply.json().get("orgs")
    if not found:
        raise connection.error(
            f"there is no organisation {org!r}, or the token may not see it",
            hint=f"Correct org. {_refused('read:orgs')}",
        )
    body = {"orgID": found[0]["id"], "name": name, "retentionRules": [_rule(days)]}
    reply = connection.send_json("POST", "/api/v2/buckets", body)
    if reply.status == _UNPROCESSABLE and "already exists" in reply.message():
        raise connection.error(f"bucket {name!r} is there, but the token may not see it", hint=_refused("read:buckets"))
    if reply.status != _CREATED:
        raise _lacking(connection, reply, f"create bucket {name!r}", "write:buckets")


def update_retention(connection: Connection, name: str, bucket: Bucket, days: int) -> None:
    """Make an existing bucket keep points for so many days.

    Raises:
        PatternAggregatesError: As in ``create``.
    """
    if not connection.server.is_v2:
        database, policy = quote_name(name.partition("/")[0]), quote_name(bucket.policy or _POLICY)
        if bucket.policy:
            _execute(connection, f"ALTER RETENTION POLICY {policy} ON {database} {_clauses(days)}")
        else:
            _execute(connection, f"CREATE RETENTION POLICY {policy} ON {database} {_clauses(days)} DEFAULT")
        return
    reply = connection.send_json(
        "PATCH", f"/api/v2/buckets/{quote(bucket.id, safe='')}", {"retentionRules": [_rule(days)]}
    )
    if reply.status != _OK:
        raise _lacking(connection, reply, f"change bucket {name!r}", "write:buckets")


def other_policies(connection: Connection, name: str) -> list[str]:
    """The other retention policies of a bucket's database on 1.x, each as ``database/policy``; none on 2.x."""
    if connection.server.is_v2:
        return []
    database, _, wanted = name.partition("/")
    policies = _execute(connection, f"SHOW RETENTION POLICIES ON {quote_name(database)}")
    return [f"{database}/{row['name']}" for row in policies if not _is_meant(row, wanted)]


def mapping_problem(connection: Connection, name: str, bucket: Bucket | None) -> str:
    """What is wrong with the mapping by which 2.x finds a bucket for InfluxQL; empty where nothing is.

    Without a mapping made by hand the bucket of that name is found.
    """
    if bucket is None or not connection.server.is_v2:
        return ""
    reply = connection.request("GET", "/api/v2/dbrps?" + urlencode({"org": connection.server.org, "db": name}))
    for mapping in reply.json().get("content") or ():  # nothing where the token may not see mappings
        if mapping.get("default") and mapping.get("bucketID") != bucket.id:
            return f"a DBRP mapping has database {name!r} stand for another bucket, with the id {mapping['bucketID']}"
    return ""


def _rule(days: int) -> dict[str, str | int]:
    return {
        "type": "expire",
        "everySeconds": days * SECONDS_A_DAY,
        "shardGroupDurationSeconds": _shard_days(days) * SECONDS_A_DAY,
    }


def _clauses(days: int) -> str:
    return f"DURATION {f'{days}d' if days else 'INF'} REPLICATION 1 SHARD DURATION {_shard_days(days)}d"


def _shard_days(kept_days: int) -> int:
    return SHORT_SHARD_DAYS if 0 < kept_days < SHARD_DAYS else SHARD_DAYS


def _execute(connection: Connection, text: str) -> list[dict[str, object]]:
    return connection.execute(
        Query("", text, streamed=False),
        lambda found: [dict(zip(part.columns, values, strict=True)) for part in found for values in part.values],
    )


def _look_up_database(connection: Connection, name: str) -> Bucket | None:
    database, _, wanted = name.partition("/")
    if database not in {row["name"] for row in _execute(connection, "SHOW DATABASES")}:
        return None
    for policy in _execute(connection, f"SHOW RETENTION POLICIES ON {quote_name(database)}"):
        if _is_meant(policy, wanted):
            duration, shard = str(policy["duration"]), str(policy["shardGroupDuration"])
            return Bucket("", _seconds(duration), _seconds(shard), str(policy["name"]))
    return None if wanted else Bucket("", 0, 0)


def _is_meant(policy: Mapping[str, object], wanted: str) -> bool:
    """Whether a retention policy is the one that is named, or without a name the default one."""
    return policy["name"] == wanted if wanted else bool(policy["default"])


def _seconds(duration: str) -> int:
    """A duration as Go writes it: ``2160h0m0s``."""
    total, digits = 0, ""
    for character in duration:
        if character.isdigit():
            digits += character
        else:
            total += int(digits or 0) * {"h": 3600, "m": 60, "s": 1}.get(character, 0)
            digits = ""
    return total


def _lacking(connection: Connection, reply: Response, deed: str, right: str) -> PatternAggregatesError:
    error = connection.error_for(reply)
    return type(error)(f"{error}; it was asked to {deed}", hint=_refused(right))


def _refused(right: str) -> str:
    return f"Use a token with the right {right} once, or do it by hand."
