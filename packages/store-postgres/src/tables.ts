import { createHash } from "node:crypto";

/** The names of a store's tables as they appear in SQL: quoted, with the schema if one was given. */
export interface Tables {
  readonly checkpoints: string;
  readonly applications: string;
  readonly leases: string;
  readonly workers: string;
  readonly revisions: string;
  /** Optional: created by `deadLetters().setup()`, not by the steps that create the others. */
  readonly deadLetters: string;
  /** Quoted; `undefined` if the search_path decides. */
  readonly schema: string | undefined;
  /** The checkpoints table that the unquoted name refers to. It is a different table if the name has capitals. */
  readonly folded: string;
  /** The NOTIFY channel of a namespace: 35 characters that do not reveal the namespace. */
  channelOf(namespace: string): string;
}

export function tablesOf({
  table,
  schema,
}: {
  readonly table: string;
  readonly schema: string | undefined;
}): Tables {
  const prefix = schema === undefined ? "" : `${quoteName(schema)}.`;
  return {
    checkpoints: prefix + quoteName(table),
    applications: prefix + quoteName(`${table}_applications`),
    leases: prefix + quoteName(`${table}_leases`),
    workers: prefix + quoteName(`${table}_workers`),
    revisions: prefix + quoteName(`${table}_revisions`),
    deadLetters: prefix + quoteName(`${table}_dead_letters`),
    schema: schema === undefined ? undefined : quoteName(schema),
    folded: prefix + quoteName(table.toLowerCase()),
    channelOf: (namespace) => {
      const hash = createHash("sha256").update(JSON.stringify([table, namespace]));
      return `kc_${hash.digest("hex").slice(0, 32)}`;
    },
  };
}

function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
