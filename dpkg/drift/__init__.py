"""Drift: what became of the columns of a table, from the profiles of two versions alone (spec/diff.md).

`distances` says how far two distributions are apart, `axes` on which scale, `columns` what became of each column, `verdicts`
whether it matters.
"""
