"""The daemon: ``loop`` runs the job, ``trigger`` says when; ``health``, ``metrics`` and ``http`` tell how it is."""
