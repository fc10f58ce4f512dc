"""Files to document: strict YAML, then variables, then the schema.

strict_yaml   bytes  -> data with positions
plain_scalars what a value without quotes is to every reader
positions     where in its file a value stands
expand        `${NAME:-default}` in strings
schema        what each file may hold (pydantic, strict)
document      the five files as one `Document`, or every finding of the run
"""
