"""Raw events from Home Assistant's recorder database, read-only, while Home Assistant keeps writing to it.

Reading order: ``schema`` (tables and versions), ``row_times`` and ``runs`` (known time), ``earlier_rows`` and
``opening`` (the states in which a day opens), ``directory`` (which rows are which entity's), ``unmigrated`` (rows in
the form of older schemas), ``first_rows`` (changes whose earlier row was purged), ``causes`` (what automations did),
``row_order`` (clocks that were set back), ``day_rows`` and ``columns`` (rows become samples), ``database`` (the
source).
"""
