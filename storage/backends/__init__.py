"""The places where aggregates can be kept, one file a technology; ``storage.connect`` chooses among them."""
