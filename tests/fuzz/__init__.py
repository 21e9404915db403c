"""Fuzzing: for every reader of other people's bytes a target that states what must hold of it.

targets/     one file each: `target(data)` raises only where a property is broken
registry.py  which there are
corpus/      kept inputs, one folder a target: seeds, and every input that ever failed
test_corpus  all of it, and mutations of it, in `make test`
__main__     `make fuzz`: coverage-guided and longer (atheris)
"""
