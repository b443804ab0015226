"""Analysis of single cells: one module per phenomenon, and `pack` that puts them together."""
