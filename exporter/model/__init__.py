"""What everything else speaks of: quantities, Snapshots, levels of detail, findings about cells."""
