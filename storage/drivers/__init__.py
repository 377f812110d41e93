"""Connections to databases, shared by stores, ledger and sources; each file is named for its technology."""
