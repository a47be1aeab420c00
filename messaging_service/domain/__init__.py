"""What things are and which changes are legal. Imports the standard library alone."""
