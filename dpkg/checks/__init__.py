"""Checks: what build.yml declares of a table's data, and whether it holds (spec/checks.md).

`rules` are declarations as values, `grammar` reads them from YAML, `running` finds out about all rules of a table in one
pass, `kept` remembers what was found of fragments, `against` compares with the parent commit, `report` says it.
"""
