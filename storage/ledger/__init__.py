"""What is done for which day and detector, with the rows that wait to be written."""
