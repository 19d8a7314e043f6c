"""What keeps a store whole and small: gc and its log, repack, verify, repair."""
