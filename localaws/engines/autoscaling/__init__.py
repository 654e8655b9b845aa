"""The embedded Application Auto Scaling."""
