"""The workload as each tool wants it written; every module has `write(workload, directory)`."""
