"""Sites that speak Modbus TCP: Victron GX devices, and devices that a map describes."""
