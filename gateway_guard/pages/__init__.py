"""What people look at: HTML and SVG as trees, for reports that are handed on and the dashboard."""
