"""What people read: figures with a message, tables with units, sentences, the index page.

Belongs here: turning results, verdicts and evidence into pictures, tables and pages.
Does not belong here: measuring, judging, reading or writing files, running notebooks (``runner``).

Modules have plain names and are imported by full path: ``from mlwb.report import figures, tables``.
``figures`` imports matplotlib; ``tables``, ``text`` and ``index`` do not.
"""
