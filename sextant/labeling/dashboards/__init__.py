"""The labeling dashboards: one specification, from which come the Athena queries, the API's answers and the pages."""
