"""What the objects of a package are: blobs, tables, nodes, commits; and the frames they are stored in."""
