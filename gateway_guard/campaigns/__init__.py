"""Many accounts, one hand.

No single account of a campaign looks extreme; together they do. What is learnt of every exchange
(`sighting`) is remembered by account (`traces`, `memory`) and by what accounts share (`postings`,
`registry`). Accounts that share something hang together (`webs`) and fall into groups
(`communities`); what ties a group (`ties`) is weighed against chance and against every innocent
explanation (`evidence`). What is convicted is held (`held`, `linker`), and each account's own part
in it is scored (`membership`). What people get to see of a campaign is put together in `report`.
All of it is pure: no clock, no file, no thread.
"""
