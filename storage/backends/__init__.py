"""The stores of aggregates, one file or folder for each technology; ``storage.connect`` chooses among them."""
