"""Money and duty: what is stated, contracted and owed, in a ledger that keeps every version."""
