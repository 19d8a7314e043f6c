"""Evaluators: what finds out, over plain Arrow arrays, whether a rule of `dpkg.checks` holds.

Each takes the rows of a table in parts (`measure`, by any thread), and puts what was found together in order (`add`).
"""
