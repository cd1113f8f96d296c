import { createHash } from "node:crypto";

/** The tables of a store, each as SQL needs it: quoted, with its schema if one was given. */
export interface Tables {
  readonly checkpoints: string;
  readonly applications: string;
  readonly leases: string;
  readonly workers: string;
  readonly revisions: string;
  /** Made on demand, and by none of the steps that make the others. */
  readonly deadLetters: string;
  /** Quoted; undefined = wherever the search_path leads. */
  readonly schema: string | undefined;
  /** What unquoted SQL would call the checkpoints' table: another one, if the name has capitals. */
  readonly folded: string;
  /** The channel for changes of a namespace: 35 letters and digits that do not reveal the namespace. */
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
