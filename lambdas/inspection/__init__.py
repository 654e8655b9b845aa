"""Handlers of the inspection system."""
