"""The daemon: ``loop`` runs the job, ``trigger`` says when; ``health``, ``metrics`` and ``http`` report its state."""
