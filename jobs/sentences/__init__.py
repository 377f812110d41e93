"""What happened, in one plain sentence: for a row, and for anomalies that belong together.

``explain`` and the tables of ``query`` print these sentences, and whatever tells people of a day can use them:
``rows.sentence_of`` for a row of any measurement, ``anomalies.sentence_of_anomaly`` for an anomaly with what was usual
before, ``groups.stories`` for all anomalies of a day, ``days.word_of_day`` for a day in one word. ``wording`` writes
lengths, hours and days as people do.
"""
