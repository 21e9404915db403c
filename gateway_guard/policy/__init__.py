"""The only code that knows YAML: source, units, schema, compile, diagnostics, cases."""
