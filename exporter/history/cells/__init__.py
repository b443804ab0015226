"""The cells of each site judged by their stored history, beside the poll loop."""
