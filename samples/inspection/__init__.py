"""Photographs of products whose truth is known: brackets on a belt, and cloth."""
