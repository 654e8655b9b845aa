"""Labeling reports: Ground Truth output of any task type as typed tables, and the reports over them."""
