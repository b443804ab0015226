"""What the servers around the exporter read, and how they are run without containers."""
