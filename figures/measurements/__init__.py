"""What the figures show, as numbers from run files and theory; nothing here draws."""
