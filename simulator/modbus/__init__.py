"""Sites that speak Modbus TCP: the register map of GX devices, and SunSpec."""
