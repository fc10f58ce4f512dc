-- Refreshing: claims, intents and what broke.
SELECT 1;
