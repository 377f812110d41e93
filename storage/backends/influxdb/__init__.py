"""Aggregates in InfluxDB: the store, its rows, line protocol, and points that other programs wrote."""
