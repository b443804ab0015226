"""Helpers that every dashboard is made of: panels, tables, colours, queries, header."""
