"""What differs between two versions of a table: rows, cells and columns."""
