"""Threat intelligence: what is known of confirmed campaigns, handed on and taken in.

An *indicator* is one thing a campaign can be recognised by: an address range, client software, a
prompt's template. Nothing here names an account, holds text of a prompt, or a single address of a
customer. What others say enters as a fact with its source, age and confidence, and refuses nobody
until a policy says so.
"""
