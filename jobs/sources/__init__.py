"""Where raw events come from, one file a technology; ``jobs.wiring`` chooses among them."""
