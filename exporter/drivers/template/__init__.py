"""Devices that a YAML file describes: where each reading is, and what it means."""
