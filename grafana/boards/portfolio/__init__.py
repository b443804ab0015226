"""The portfolio: what the batteries earn, lose and owe."""
