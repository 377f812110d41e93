"""Connections to databases, for stores, ledger and sources; each file is named for its technology."""
