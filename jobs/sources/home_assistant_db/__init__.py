"""Raw events from Home Assistant's recorder database, read-only, while Home Assistant keeps writing to it.

Reading order: ``schema`` (tables and versions), ``runs`` (known time), ``opening`` (the states in which a day opens),
``directory`` (which rows are which entity's), ``unmigrated`` (rows in the form of older schemas), ``first_rows``
(changes whose earlier row was purged), ``causes`` (what automations did), ``row_order`` (clocks that were set back),
``columns`` (rows become samples), ``database`` (the source).
"""
