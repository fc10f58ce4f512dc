"""The subcommands of `vault`: connections, leases, keys and reports; each module adds its own to the application."""
