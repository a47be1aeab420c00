"""Faults while messages flow: nothing that was answered 202 may be lost."""
