"""Handlers of the slides system."""
