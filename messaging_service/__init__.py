"""Secure messages between patients and their care teams, filed in the EPD with proof."""
