-- Rotation of keys: its progress, and a census of rows by key version.
SELECT 1;
