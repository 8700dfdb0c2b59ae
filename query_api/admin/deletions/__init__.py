"""Deleting for good, and answering when the bytes are gone.

`requesting` puts the event on the bus, `reporting` tells how far each deletion is, `states` names that.
"""
