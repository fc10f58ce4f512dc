"""What must be true of the database for row security to mean anything, asked of `pg_catalog`.

Row security can be walked around in more ways than it can be switched off: by an owner without FORCE,
a role with BYPASSRLS, TRUNCATE (it ignores policies), a view or a definer function of a mightier
owner, a materialized view (it has no policies at all), a forgotten search_path. Each query below
returns one line per violation, the vault refuses to start when there is any, and the tests break the
schema in each of these ways and look that it is noticed.
"""

from __future__ import annotations

from collections.abc import Sequence

from vault_api.store.database import Database

NOT_TENANT_TABLES = (
    "alembic_version",
    "shipping",
    "shipped_file",
    "partner",
    "legacy_phase",
    "schedule",
    "circuit",
    "rotation",
    "rotation_partner",
    "break_glass",
    "break_glass_release",
)
"""Tables of the schema that hold nothing of any one partner but its name. Everything else is a tenant table."""

SERVICE_ROLES = ("vault_app", "vault_rotator")

_FINDINGS = """
WITH RECURSIVE
schemas AS (SELECT oid, nspname FROM pg_namespace WHERE nspname = 'vault'),
-- Whatever a service role is a member of lends it its rights.
reach AS (
    SELECT r.oid AS role, r.oid AS through FROM pg_roles r WHERE r.rolname = ANY ($2)
    UNION
    SELECT reach.role, m.roleid FROM reach JOIN pg_auth_members m ON m.member = reach.through
),
roles AS (
    SELECT s.rolname AS service, t.* FROM reach
    JOIN pg_roles s ON s.oid = reach.role JOIN pg_roles t ON t.oid = reach.through
),
relations AS (SELECT c.* FROM pg_class c JOIN schemas s ON s.oid = c.relnamespace),
tenant_tables AS (SELECT * FROM relations WHERE relkind IN ('r', 'p') AND relname <> ALL ($1))
SELECT format('role %s: %s is superuser or has BYPASSRLS, CREATEROLE or REPLICATION', service, rolname)
    FROM roles WHERE rolsuper OR rolbypassrls OR rolcreaterole OR rolreplication
UNION ALL
SELECT format('role %s: is a member of %s', service, rolname) FROM roles WHERE rolname <> service
UNION ALL
SELECT format('role %s: owns %s', r.service, d.classid::regclass || ' ' || d.objid)
    FROM roles r JOIN pg_shdepend d ON d.refobjid = r.oid AND d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o'
UNION ALL
SELECT format('table %s: row level security is not enabled and forced', relname)
    FROM tenant_tables WHERE NOT (relrowsecurity AND relforcerowsecurity)
UNION ALL
SELECT format('table %s: has another policy than (partner = vault.tenant()) for everybody', relname)
    FROM tenant_tables t
    WHERE (SELECT count(*) FROM pg_policy p WHERE p.polrelid = t.oid) <> 1
       OR NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = t.oid AND p.polcmd = '*' AND p.polpermissive
                AND p.polroles = '{0}'
                AND pg_get_expr(p.polqual, p.polrelid) = '(partner = vault.tenant())'
                AND pg_get_expr(p.polwithcheck, p.polrelid) = '(partner = vault.tenant())')
UNION ALL
SELECT format('table %s: a unique index does not begin with the partner', t.relname)
    FROM tenant_tables t JOIN pg_index i ON i.indrelid = t.oid AND i.indisunique
    LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
    WHERE a.attname IS DISTINCT FROM 'partner'
UNION ALL
SELECT format('%s %s: stands over the tables', CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                                               ELSE 'foreign table' END, relname)
    FROM relations WHERE relkind IN ('m', 'f')
       OR (relkind = 'v' AND NOT coalesce(reloptions @> '{security_invoker=true}', false))
UNION ALL
SELECT format('view %s.%s: reads a table of the vault from another schema', n.nspname, v.relname)
    FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_class v ON v.oid = w.ev_class JOIN pg_namespace n ON n.oid = v.relnamespace
    JOIN tenant_tables t ON t.oid = d.refobjid AND d.refclassid = 'pg_class'::regclass
    WHERE n.nspname <> 'vault' AND v.relkind IN ('v', 'm')
UNION ALL
SELECT format('function %s.%s: runs with the rights of its owner', n.nspname, p.proname)
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL
SELECT format('function %s: its search_path is not fixed', p.proname)
    FROM pg_proc p JOIN schemas s ON s.oid = p.pronamespace
    -- A body that was bound when the function was created looks nothing up when it runs.
    WHERE NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false) AND p.prosqlbody IS NULL
UNION ALL
SELECT format('grant: %s may %s %s', coalesce(g.rolname, 'PUBLIC'), a.privilege_type, c.relname)
    FROM relations c CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
    LEFT JOIN pg_roles g ON g.oid = a.grantee
    WHERE a.grantee <> c.relowner AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND (g.rolname IS NULL OR g.rolname <> ALL ($2)
           OR a.privilege_type IN ('TRUNCATE', 'DELETE', 'TRIGGER', 'REFERENCES', 'MAINTAIN') OR a.is_grantable
           OR (a.privilege_type = 'UPDATE' AND c.relname = ANY ('{audit,key_context,connection}')))
UNION ALL
SELECT format('grant: %s may %s column %s of %s', coalesce(g.rolname, 'PUBLIC'), a.privilege_type, t.attname, c.relname)
    FROM relations c JOIN pg_attribute t ON t.attrelid = c.oid AND t.attacl IS NOT NULL
    CROSS JOIN LATERAL aclexplode(t.attacl) a LEFT JOIN pg_roles g ON g.oid = a.grantee
    WHERE a.grantee <> c.relowner
      AND (g.rolname IS NULL OR g.rolname <> ALL ($2) OR a.is_grantable OR a.privilege_type = 'REFERENCES'
           OR t.attname IN ('partner', 'connection')
           OR (a.privilege_type = 'UPDATE' AND c.relname = ANY ('{audit,key_context,connection}')))
UNION ALL
SELECT format('grant: %s may execute %s', coalesce(g.rolname, 'PUBLIC'), p.proname)
    FROM pg_proc p JOIN schemas s ON s.oid = p.pronamespace
    CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    LEFT JOIN pg_roles g ON g.oid = a.grantee
    WHERE a.grantee <> p.proowner AND (g.rolname IS NULL OR g.rolname <> ALL ($2) OR a.is_grantable)
UNION ALL
SELECT format('grant: %s may %s in schema %s', coalesce(g.rolname, 'PUBLIC'), a.privilege_type, s.nspname)
    FROM pg_namespace s JOIN schemas USING (oid)
    CROSS JOIN LATERAL aclexplode(coalesce(s.nspacl, acldefault('n', s.nspowner))) a
    LEFT JOIN pg_roles g ON g.oid = a.grantee
    WHERE a.grantee <> s.nspowner AND (g.rolname IS NULL OR g.rolname <> ALL ($2) OR a.privilege_type <> 'USAGE')
ORDER BY 1
"""


class DatabaseRefused(Exception):
    """The database is not one that the vault may run on; the text is one clear line."""


async def findings(database: Database) -> Sequence[str]:
    """Every violation as one line; none when the posture is right. Raises DatabaseUnavailable."""
    return [str(row[0]) for row in await database.rows(_FINDINGS, list(NOT_TENANT_TABLES), list(SERVICE_ROLES))]


async def require(database: Database, revision: str) -> None:
    """Raises DatabaseRefused unless the schema is of that revision and nothing reaches around its row security."""
    present = await database.rows("SELECT to_regclass('vault.alembic_version') IS NOT NULL")
    if not present[0][0]:
        raise DatabaseRefused("the database has no schema `vault`; run `python -m vault_api migrate` first")
    found = await database.rows("SELECT has_schema_privilege('vault', 'USAGE')")
    if not found[0][0]:
        raise DatabaseRefused("this role may not use the schema `vault`; connect as vault_app")
    problems = await findings(database)
    if problems:
        raise DatabaseRefused(
            f"row security can be walked around: {'; '.join(problems)}; see vault_api/store/posture.py"
        )
    versions = [str(row[0]) for row in await database.rows("SELECT version_num FROM vault.alembic_version")]
    if versions != [revision]:
        raise DatabaseRefused(
            f"the schema is at revision {', '.join(versions) or 'none'}, this vault needs {revision}; "
            "run `python -m vault_api migrate`"
        )
