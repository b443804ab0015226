"""The exporter's own doors: TLS, sign-in, roles, limits and headers of its HTTP server."""
