"""Analysis of the cells of each site from their stored history, in a process of its own."""
