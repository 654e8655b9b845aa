"""Lambda handlers, one file each: parse, call, return."""
