"""Slides whose truth is known: a cohort of small ones in many formats, and gigapixel ones for benches."""
