"""The reader: run folders, tables and published files become checked frames, or one line that names file and cause."""
