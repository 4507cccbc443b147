"""The steps of the loop: each reads its inputs, measures, records evidence, asks the gates.

Belongs here: stringing rooms together. A stage has four verbs, ``load``, ``measure``, ``record``
and ``judge``, and ``run``, which composes them; its notebook calls the same four. One that a person
leads, or that decides nothing, has those of them that it needs.
Does not belong here: arithmetic (a room below), drawing (``report``), starting kernels or servers
(``runner``), and the server itself: research meets serving only through files.
"""
