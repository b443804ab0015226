"""Maintenance tickets: one for each incident, opened, updated and closed with it."""
