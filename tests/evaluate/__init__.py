"""How well the guard finds campaigns: labelled traffic replayed, scored and set beside baselines.

`make evaluate`, or `python -m tests.evaluate --help`.
"""
