"""The ledger: what is done for each day and detector, with the rows that wait to be written.

Reading order: ``entry`` (one day and detector), ``ledger`` (the file), ``day`` (one day's work under the lock),
``schema`` (the table and its migrations), ``announcements`` (which anomalies people have been told of).
"""
