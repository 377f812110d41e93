"""The report: what stored rows show of a home, as one HTML file that needs no network and no script.

Reading order: ``report`` (makes it), ``stored_rows`` (the rows that it is about), then one module for each section:
``calendar`` (what was unusual), ``rhythm`` (when rooms and devices are used), ``usage`` (what is on for how long),
``relations`` (what goes together), ``changes`` (against the four weeks before), ``gaps`` (what is missing).
``contents`` puts them together, ``one_day`` is the detailed report of a day, ``drawings`` makes SVG paths, and ``page``
fills the templates.
"""
