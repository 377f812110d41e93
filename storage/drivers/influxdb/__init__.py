"""InfluxDB 1.x and 2.x on the wire: connection, InfluxQL, buckets, organisations. Knows no model."""
