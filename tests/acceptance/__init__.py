"""The service as its users meet it: separate processes, real servers, an EPD that nobody here wrote."""
