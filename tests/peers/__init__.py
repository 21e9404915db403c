"""The guard beside what else is used for parts of its work: the same load, in turns."""
