"""Many homes: read the catalogue, plan from the ledger, pack tasks, hand them to an executor, report by home."""
