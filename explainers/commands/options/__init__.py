"""Options of the commands, one file each: they know neither torch nor Lightning, so `--help` answers at once."""
