"""Factories and fault wrappers that tests share."""
