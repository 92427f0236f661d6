"""What the commands of `explainers` do that `cli` itself does not: a file each, and their parts."""
