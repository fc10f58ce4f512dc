-- Leases of dynamic credentials.
SELECT 1;
