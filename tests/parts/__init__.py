"""Real parts for the tests: servers and peers that run while a test needs them."""
