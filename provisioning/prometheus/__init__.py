"""Prometheus's configuration, and its alert rules as code."""
