-- The earlier row format beside the present one.
SELECT 1;
