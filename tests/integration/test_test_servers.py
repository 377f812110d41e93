"""The servers that tests start for themselves do what tests rely on."""

from __future__ import annotations

from tests.support.mariadb import MariaDb


def test_each_mariadb_database_is_new_and_reached_by_network(mariadb: MariaDb) -> None:
    first, second = mariadb.new_database(), mariadb.new_database()
    assert first.database != second.database
    mariadb.execute("CREATE TABLE word (text VARCHAR(9)); INSERT word VALUES ('é💡')", first.database)
    assert mariadb.execute("SELECT text FROM word", first.database) == "é💡\n"
    assert mariadb.execute("SHOW TABLES", second.database) == ""
    assert mariadb.execute("SELECT @@bind_address, @@port").split() == [first.host, str(first.port)]
