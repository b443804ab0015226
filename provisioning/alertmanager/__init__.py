"""Alertmanager's configuration, and the writing of a copy with receivers that have addresses."""
