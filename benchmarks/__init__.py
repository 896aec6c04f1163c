"""How fast and how light the program is, measured."""
