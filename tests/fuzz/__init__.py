"""Properties that hold whatever the program is given; ``python -m tests.fuzz`` looks for exceptions for minutes."""
