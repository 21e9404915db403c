"""What is kept of a decision: log line, metrics."""
