"""The console's API over every system that is deployed, and the publishing of its pages."""
