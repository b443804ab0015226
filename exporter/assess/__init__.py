"""Assessing: the one place where figures and issues of sites are made."""
