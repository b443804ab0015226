"""A month of three large batteries on a market: readings, orders, events, statements, truth."""
