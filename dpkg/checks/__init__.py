"""Checks: what build.yml declares of a table's data, and whether it holds (spec/checks.md).

`rules` are declarations as values, `grammar` reads them from YAML, `running` finds out about all rules of a table in one
pass over what is stored or would be (`tables`), `kept` remembers what was found of fragments, `report` says it.
"""
