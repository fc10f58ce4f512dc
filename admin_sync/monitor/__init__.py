"""Watching the audit log for what somebody has to be told of."""
