"""What nodes send by themselves: one strict parser for every way in."""
