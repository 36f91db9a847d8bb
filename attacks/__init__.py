"""Hostile artifacts: one attack a file, each with the code that a reader must give (see README.md)."""
