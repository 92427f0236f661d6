"""Reports of comparisons and tests: a table, panels of pictures, and one HTML page."""
