"""Physics of the simulated sites: arrays over all sites at once, advanced in fixed steps."""
