"""The revisions of the schema `vault`, oldest first. A revision that was released never changes."""
