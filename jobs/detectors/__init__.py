"""One file a detector; each module's docstring is its specification. ``jobs.registry`` walks this package."""
