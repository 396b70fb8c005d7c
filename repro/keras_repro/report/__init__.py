"""What to file: an issue that needs no question back, and a page that shows the bug at a glance."""
