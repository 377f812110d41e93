"""InfluxDB 1.x and 2.x over the network: connection, InfluxQL, buckets, organisations. Independent of any model."""
