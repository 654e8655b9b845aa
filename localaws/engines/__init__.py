"""Engines: plain Python behind AWS APIs. None knows the emulator; each gets a `localaws.home.Home`."""
