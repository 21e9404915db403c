"""Shared state: what quotas are in force."""
