"""Ways to reach a site: one folder for each transport."""
