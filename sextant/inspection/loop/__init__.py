"""From a photograph on the belt to a verdict that counts once, and from a person's answer to a better model."""
