"""What a network does with a picture, step by step, and what changes of the picture do to it."""
