"""The labeling job: `label_reports.py` and one Spark SQL text per table."""
