"""What a schema holds, told so that two of them can be compared."""

from __future__ import annotations

# A value reads the same whoever asks, wherever the server stands.
ONE_WAY_OF_WRITING = (
    "SET LOCAL timezone = 'UTC'",
    "SET LOCAL datestyle = 'ISO, YMD'",
    "SET LOCAL intervalstyle = 'postgres'",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL extra_float_digits = 1",
)

_OWN = (
    "NOT EXISTS (SELECT FROM pg_catalog.pg_depend d"
    " WHERE d.classid = '{catalogue}'::pg_catalog.regclass AND d.objid = {oid} AND d.deptype = 'e')"
)


def tables_query(schema: str, *, kept_only: bool = False) -> str:
    """Names of its tables, those of extensions apart. kept_only: without those that a crash empties."""
    own = _OWN.format(catalogue="pg_catalog.pg_class", oid="c.oid")
    return (
        "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        f" WHERE n.nspname = '{schema}' AND c.relkind IN ('r', 'p') AND {own}"
        + (" AND c.relpersistence <> 'u'" if kept_only else "")
        + " ORDER BY 1"
    )


def content_query(schema: str, table: str) -> str:
    """Rows, and a digest of them that does not depend on their order: a sum of their hashes."""
    return (
        "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text"
        f' FROM "{schema}"."{table}" AS t'
    )


def emptying(schema: str) -> str:
    """A block that drops all there is in the schema but what belongs to extensions."""
    relation = _OWN.format(catalogue="pg_catalog.pg_class", oid="c.oid")
    routine = _OWN.format(catalogue="pg_catalog.pg_proc", oid="p.oid")
    type_ = _OWN.format(catalogue="pg_catalog.pg_type", oid="t.oid")
    here = f"'{schema}'::pg_catalog.regnamespace"
    return f"""DO $$
DECLARE found record;
BEGIN
  FOR found IN SELECT c.relname AS name, CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
      WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
    FROM pg_catalog.pg_class c WHERE c.relnamespace = {here} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend o
      WHERE o.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND o.objid = c.oid AND o.deptype = 'i')
    AND {relation}
  LOOP
    EXECUTE pg_catalog.format('DROP %s IF EXISTS "{schema}".%I CASCADE', found.kind, found.name);
  END LOOP;
  FOR found IN SELECT p.oid::pg_catalog.regprocedure::text AS name
    FROM pg_catalog.pg_proc p WHERE p.pronamespace = {here} AND {routine}
  LOOP
    EXECUTE pg_catalog.format('DROP ROUTINE IF EXISTS %s CASCADE', found.name);
  END LOOP;
  FOR found IN SELECT t.typname AS name FROM pg_catalog.pg_type t
    WHERE t.typnamespace = {here} AND t.typtype IN ('e', 'd') AND {type_}
  LOOP
    EXECUTE pg_catalog.format('DROP TYPE IF EXISTS "{schema}".%I CASCADE', found.name);
  END LOOP;
END $$"""
