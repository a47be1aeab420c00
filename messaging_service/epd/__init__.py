"""HL7 v2 out and its acknowledgements in. No I/O; the only package that imports hl7apy."""
