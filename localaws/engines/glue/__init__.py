"""The Glue engine; see `engine.Glue`."""
