"""The labeling dashboards in QuickSight, made from the same specification as the console's pages.

`datasets` turns a data set of the specification into a SPICE query and its measures into QuickSight's expressions,
`definition` turns a dashboard into a QuickSight Definition. Both work at synthesis only: they need sqlglot.
"""
