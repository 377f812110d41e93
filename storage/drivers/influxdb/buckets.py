"""Buckets of InfluxDB 2.x and databases of 1.x: find them, create them, change their retention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, NoReturn

from storage.drivers.influxdb.connection import Connection
from storage.drivers.influxdb.influxql import Query, quote_name
from storage.drivers.influxdb.response import Response

SECONDS_PER_DAY: Final = 86_400
SHARD_DAYS: Final = 7  # fewer shards than by default: half the time for a range, two thirds for a write
SHORT_SHARD_DAYS: Final = 1  # where less than a week is kept: a shard group must not be longer than the retention
MAPPING_HINT: Final = "Delete the mapping (influx v1 dbrp list), or name the bucket that it maps to."

_NOT_FOUND = 404
_UNPROCESSABLE = 422
_POLICY = "autogen"  # the name that 1.x gives to the retention policy of a new database


class Bucket(NamedTuple):
    """A bucket as the server describes it.

    Attributes:
        id: Its id; empty on 1.x.
        retention_seconds: How long it keeps points; 0 for ever.
        shard_seconds: The length of a shard group; 0 where unknown.
        policy: The retention policy on 1.x; empty on 2.x, and where a database has no default one.
    """

    id: str
    retention_seconds: int
    shard_seconds: int
    policy: str = ""

    def keeps(self, days: int) -> bool:
        """Return whether it keeps points for exactly so many days (0 for ever)."""
        return self.retention_seconds == days * SECONDS_PER_DAY


def find_bucket(connection: Connection, name: str) -> Bucket | None:
    """Return a bucket; None if it does not exist or the token may not see it.

    Raises:
        PatternAggregatesError: As the connection's ``errors`` say.
    """
    if not connection.server.is_v2:
        return _find_database(connection, name)

    def not_found(response: Response) -> list[Any]:
        if response.status == _NOT_FOUND and "bucket" in response.message():
            return []
        raise connection.error_for(response)

    def find(client: Any) -> list[Any]:  # noqa: ANN401 - the library has no types here
        return client.buckets_api().find_buckets(org=connection.server.org, name=name).buckets or []

    for found in connection.call(find, not_found):
        rules = found.retention_rules or ()
        rule = rules[0] if rules else None
        return Bucket(
            found.id,
            (rule.every_seconds or 0) if rule else 0,
            (rule.shard_group_duration_seconds or 0) if rule else 0,
        )
    return None


def create(connection: Connection, name: str, days: int) -> None:
    """Create a bucket that keeps points for so many days (0 for ever), in shard groups of a week at most.

    Raises:
        PatternAggregatesError: As the connection's ``errors`` say; the hint names the right that the token lacks.
    """
    if not connection.server.is_v2:
        _create_database(connection, name, days)
        return
    organisation = _find_organisation(connection)

    def refused(response: Response) -> NoReturn:
        if response.status == _UNPROCESSABLE and "already exists" in response.message():
            raise connection.error(f"bucket {name!r} exists, but the token may not see it", _right_hint("read:buckets"))
        _raise_lacking(connection, response, f"create bucket {name!r}", "write:buckets")

    def create_bucket(client: Any) -> object:  # noqa: ANN401 - likewise
        return client.buckets_api().create_bucket(bucket_name=name, retention_rules=[_rule(days)], org=organisation)

    connection.call(create_bucket, refused)


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

    def refused(response: Response) -> NoReturn:
        _raise_lacking(connection, response, f"change bucket {name!r}", "write:buckets")

    def update(client: Any) -> object:  # noqa: ANN401 - likewise
        changed = client.buckets_api().find_bucket_by_id(bucket.id)
        changed.retention_rules = [_rule(days)]
        return client.buckets_api().update_bucket(changed)

    connection.call(update, refused)


def other_policies(connection: Connection, name: str) -> list[str]:
    """Return the other retention policies of a bucket's database on 1.x, each as ``database/policy``; none on 2.x."""
    if connection.server.is_v2:
        return []
    database, _, policy = name.partition("/")
    found = _execute(connection, f"SHOW RETENTION POLICIES ON {quote_name(database)}")
    return [f"{database}/{row['name']}" for row in found if not _is_named(row, policy)]


def mapping_problem(connection: Connection, name: str, bucket: Bucket | None) -> str:
    """Return what is wrong with the DBRP mapping by which 2.x finds a bucket for InfluxQL; empty if nothing is.

    Without a mapping that somebody made, 2.x takes the bucket of the same name.
    """
    if bucket is None or not connection.server.is_v2:
        return ""
    response = connection.get("/api/v2/dbrps", {"org": connection.server.org, "db": name})
    for mapping in response.json().get("content") or ():  # none where the token may not see mappings
        if mapping.get("default") and mapping.get("bucketID") != bucket.id:
            return f"a DBRP mapping maps database {name!r} to another bucket, with the id {mapping['bucketID']}"
    return ""


def _find_organisation(connection: Connection) -> Any:  # noqa: ANN401 - the library's Organization
    org = connection.server.org

    def refused(response: Response) -> NoReturn:
        _raise_lacking(connection, response, f"find organisation {org!r}", "read:orgs")

    found = connection.call(lambda client: client.organizations_api().find_organizations(org=org) or [], refused)
    if not found:
        raise connection.error(
            f"organisation {org!r} does not exist, or the token may not see it",
            f"Correct org. {_right_hint('read:orgs')}",
        )
    return found[0]


def _rule(days: int) -> dict[str, str | int]:
    return {
        "type": "expire",
        "everySeconds": days * SECONDS_PER_DAY,
        "shardGroupDurationSeconds": _shard_days(days) * SECONDS_PER_DAY,
    }


def _clauses(days: int) -> str:
    return f"DURATION {f'{days}d' if days else 'INF'} REPLICATION 1 SHARD DURATION {_shard_days(days)}d"


def _shard_days(retention_days: int) -> int:
    return SHORT_SHARD_DAYS if 0 < retention_days < SHARD_DAYS else SHARD_DAYS


def _execute(connection: Connection, text: str) -> list[dict[str, object]]:
    return connection.execute(
        Query("", text, streamed=False),
        lambda found: [dict(zip(part.columns, values, strict=True)) for part in found for values in part.values],
    )


def _create_database(connection: Connection, name: str, days: int) -> None:
    database, _, policy = name.partition("/")
    quoted, clauses = quote_name(database), _clauses(days)
    if policy:
        _execute(connection, f"CREATE DATABASE {quoted}")
        _execute(connection, f"CREATE RETENTION POLICY {quote_name(policy)} ON {quoted} {clauses}")
    else:
        _execute(connection, f"CREATE DATABASE {quoted} WITH {clauses} NAME {quote_name(_POLICY)}")


def _find_database(connection: Connection, name: str) -> Bucket | None:
    database, _, policy = name.partition("/")
    if database not in {row["name"] for row in _execute(connection, "SHOW DATABASES")}:
        return None
    for row in _execute(connection, f"SHOW RETENTION POLICIES ON {quote_name(database)}"):
        if _is_named(row, policy):
            duration, shard = str(row["duration"]), str(row["shardGroupDuration"])
            return Bucket("", _seconds(duration), _seconds(shard), str(row["name"]))
    return None if policy else Bucket("", 0, 0)


def _is_named(row: Mapping[str, object], policy: str) -> bool:
    """Return whether a retention policy is the one that is named, or without a name the default one."""
    return row["name"] == policy if policy else bool(row["default"])


def _seconds(duration: str) -> int:
    """Return the seconds of a duration as Go writes it: ``2160h0m0s``."""
    total, digits = 0, ""
    for character in duration:
        if character.isdigit():
            digits += character
        else:
            total += int(digits or 0) * {"h": 3600, "m": 60, "s": 1}.get(character, 0)
            digits = ""
    return total


def _raise_lacking(connection: Connection, response: Response, action: str, right: str) -> NoReturn:
    error = connection.error_for(response)
    raise type(error)(f"{error}; the request was to {action}", hint=_right_hint(right))


def _right_hint(right: str) -> str:
    return f"Use a token with the right {right} once, or do it by hand."
