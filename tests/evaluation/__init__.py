"""The labelled test of every detector: ``make evaluate``."""
