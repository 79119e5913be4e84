"""Charging limits as values, and their algebra: pure functions without clocks or messages.

schedule    a stepwise limit in amperes per phase over absolute time
units       amperes per phase to watts of all phases: the only place that converts
profile     the charging profile of OCPP 1.6, 2.0.1 and 2.1 as data
rules       what a conforming station of each version refuses, and why
installed   the profiles that a station holds: install, clear, find
context     the facts about a station that decide what a profile means
activity    which period of a profile is active at an instant
leading     what the profiles of one purpose say when: the line of their leaders
least       below which current a car is to pause rather than charge, by its CSMS
bound       what a period allows, and how bounds merge; rates: L1, L2, L3; lines: step functions
overdraw    by how much an honest station exceeds its limit
composite   the limit that results from all installed profiles
"""
