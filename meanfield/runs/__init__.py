"""What training measured: run files, and other files with curves."""
