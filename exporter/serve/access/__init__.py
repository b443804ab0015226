"""Access to the HTTP server: TLS, sign-in, roles, limits and headers."""
