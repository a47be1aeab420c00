"""Screening of what patients write: text in, verdict out, no I/O."""
