"""Find, check and download public data."""
