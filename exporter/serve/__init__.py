"""The HTTP server: access, API, metrics and page."""
