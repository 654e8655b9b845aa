"""The console: a static site of ES modules, published as it stands. `web.site` says which files, and how."""
