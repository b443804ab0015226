"""Brings recorded files into InfluxDB: CSV and Parquet in, the same points as live readings out."""
