"""Hostile inputs, by the hundred thousand."""
