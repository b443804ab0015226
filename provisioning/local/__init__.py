"""The whole stack as processes of this machine, on loopback ports, under one process manager."""
