"""Inspection of products by photographs: the Lookout for Vision API, its detector, review loop and edge sorter."""
