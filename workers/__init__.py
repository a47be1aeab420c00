"""One thin process per step; `runner` holds the loop they share."""
