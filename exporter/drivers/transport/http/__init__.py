"""HTTP: one session for all sites, bounded replies, JSON documents, TLS trust."""
