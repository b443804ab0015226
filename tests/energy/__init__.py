"""Energy: accounts, tariffs, forecasts, plans."""
