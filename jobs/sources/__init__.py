"""The sources of raw events, one file or folder for each technology; ``jobs.wiring`` chooses among them."""
