"""Orders to batteries: limits of a site, shares of a total, and whether an order is followed."""
