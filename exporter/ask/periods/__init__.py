"""Periods as people write them: the one reader of all faces."""
