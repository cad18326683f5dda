"""Numbers from frames: statistics, and every table of the report."""
