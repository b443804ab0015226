"""What batteries earn, lose and owe: pure functions over quarter hours, events and statements."""
