"""admin-sync: the configuration in `configs/iam` becomes Keycloak realms and a signed OPA bundle."""
