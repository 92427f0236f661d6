"""The commands of `explainers`, one file each with `add_arguments` and `run`, and their parts."""
