"""What do the rules of a benchmark version ask for?  Data in TOML files, one a version."""
