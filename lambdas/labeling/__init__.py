"""Handlers of the labeling system."""
