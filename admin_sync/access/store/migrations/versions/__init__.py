"""The revisions of the schema `access`, oldest first. A revision that was released never changes."""
