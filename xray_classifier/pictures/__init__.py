"""What Pillow would not show rightly, by format: deep, transparent, tiled or newer pictures."""
