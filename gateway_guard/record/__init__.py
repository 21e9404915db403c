"""What is kept of decisions: log, metrics, traces; and of what people decided: journal, audit."""
