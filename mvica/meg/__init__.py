"""MNE-Python recordings in and out."""
