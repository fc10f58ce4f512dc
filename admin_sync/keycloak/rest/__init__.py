"""Reading and writing a realm by nothing but Keycloak's own admin API; works on any server."""
