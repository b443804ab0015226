"""Stored history: the readers of InfluxDB, roll-ups, cell analysis and import."""
