"""From Snapshots to InfluxDB: line protocol, a queue, and a writer for either API."""
