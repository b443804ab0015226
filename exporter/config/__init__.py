"""Configuration: the fleet file, settings, secrets and logging, checked before use."""
