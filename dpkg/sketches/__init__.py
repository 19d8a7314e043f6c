"""What a column's values are like, in a few kilobytes: sketches that merge (spec/profiles.md). With numpy, and without pyarrow.

Everything is computed from distinct values in order and how often each occurs, and is the same on every machine: no random
numbers, no sums whose rounding depends on their order. `merge` loses nothing, so it gives the same in any grouping and any order;
`cut` makes a sketch smaller, and adds what that may cost to the error that the sketch states.
"""
