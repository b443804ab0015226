"""Collecting: when each site is polled, and what the fleet is known to be in."""
