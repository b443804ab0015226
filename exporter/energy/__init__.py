"""Energy: what came, what comes, and what to do about it, out of the stored past."""
