"""Roll-ups: full detail, read back from InfluxDB, as windows of 5 min, 15 min, 1 h and 1 d.

They are worked out of what is stored, not of what passes by, so that late and imported data count,
a restart forgets nothing, and every version of InfluxDB gives the same.
"""
