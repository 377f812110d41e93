"""Real servers, shared by all tests here."""

from tests.support.influxdb import influxdb, influxdb_1, influxdb_2

__all__ = ["influxdb", "influxdb_1", "influxdb_2"]
