/** The three tables of a store, each as it stands in SQL: quoted, with its schema if one was given. */
export interface Tables {
  readonly checkpoints: string;
  readonly applications: string;
  readonly leases: string;
  /** Quoted; undefined = wherever the search_path leads. */
  readonly schema: string | undefined;
  /** What unquoted SQL would call the checkpoints' table: another one, if the name has capitals. */
  readonly folded: string;
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
    schema: schema === undefined ? undefined : quoteName(schema),
    folded: prefix + quoteName(table.toLowerCase()),
  };
}

function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
