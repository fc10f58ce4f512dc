-- An approval says in which realm whoever gave it had logged in. Run by the migration as access_owner.
--
-- What was given before says nothing, and counts nowhere where a realm is kept out (admin_sync/access/verified.py).

ALTER TABLE access.approval ADD COLUMN realm text;
ALTER TABLE access.approval ADD CONSTRAINT approval_says_its_realm CHECK (realm IS NOT NULL AND realm <> '') NOT VALID;
