"""A fleet that several exporters poll, answered as one: what shards show each other."""
