"""Inverters, meters and batteries that speak SunSpec over Modbus TCP."""
