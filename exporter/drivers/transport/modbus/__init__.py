"""Modbus TCP: one connection for each gateway, one transaction at a time, bounded replies."""
