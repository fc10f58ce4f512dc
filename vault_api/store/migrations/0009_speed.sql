-- What the hot paths need in one round trip.
SELECT 1;
