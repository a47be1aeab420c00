"""Use cases, one a file and named by its verb; the ports they need; repositories over the document port."""
