"""Keyring and sealing: patient text stays closed outside the processes. The only importer of cryptography."""
