-- Linking a broker: attempts, approvals and the state of a connection.
SELECT 1;
