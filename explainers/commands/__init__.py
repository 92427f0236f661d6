"""The commands of `explainers` that are more than a few lines, a file each, and their parts."""
