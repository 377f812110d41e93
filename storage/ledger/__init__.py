"""What is done for which day and detector, with the rows that wait to be written.

Read ``entry`` (what is known of one day and detector), ``ledger`` (the file), ``day`` (one day's work under the lock),
``schema`` (the table and its migrations).
"""
