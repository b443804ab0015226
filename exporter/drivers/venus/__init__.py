"""Victron Venus devices: their D-Bus trees, and the drivers that fetch them."""
