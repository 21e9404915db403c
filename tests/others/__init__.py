"""Labelled traffic by other hands: a generator that shares nothing with the one behind `dev`.

A world is a week or so of traffic of some 4,000 accounts: honest groups, many of which combine
two kinds of tie (a card and a training day, a building and a programme), and eighteen campaigns.
Texts, addresses and fingerprints are taken from the data beside the checkout; who they belong to,
when they send and what they share is made here.

`python -m tests.others SEED DIRECTORY`, then `make evaluate DATA=DIRECTORY`.

With `--cast lookalikes` three fifths of the honest accounts are in groups that were made only to
look like one hand, and sixteen campaigns hide what ties them: how wrong the guard can be, not how
wrong it is. Such a world is as long as any other, so that the two differ in who is in them alone.
"""
