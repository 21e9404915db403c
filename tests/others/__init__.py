"""Labelled traffic by other hands: a generator that shares nothing with the one behind `dev`.

A world is a week or so of traffic of some 4,000 accounts: honest groups, many of which combine
two kinds of tie (a card and a training day, a building and a programme), and eighteen campaigns.
Texts, addresses and fingerprints are taken from the data beside the checkout; who they belong to,
when they send and what they share is made here.

`python -m tests.others SEED DIRECTORY`, then `make evaluate DATA=DIRECTORY`.
"""
