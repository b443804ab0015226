"""Sites that can be reached through Victron's VRM portal only."""
