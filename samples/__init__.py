"""Sample inputs that the project makes itself: deterministic, small, with the exact truth beside them."""
