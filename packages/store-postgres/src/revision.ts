import type { Place } from "./calls.ts";

/**
 * No hint is sent while the notification queue is fuller than this. A full queue would fail the transaction, and
 * it fills up while any listening session, of any user, keeps a transaction open. Without hints, workers see
 * changes at their next heartbeat.
 */
const MAX_QUEUE_USAGE = 0.5;

/**
 * A CTE that raises the revision by one if the CTE named `changed` has any rows. It comes last in its transaction:
 * the revision's row stays locked until the commit, and its holder waits for no other lock. `count(*)` instead of
 * `EXISTS` makes Postgres complete `changed`, and lock its rows, before it locks the revision's row. So a reader
 * of a revision sees the changes that it stands for.
 *
 * Postgres sends the hint when the transaction commits, and never if it does not.
 */
export function raiseRevision(
  { tables, namespace, channel, quote }: Place,
  changed: string,
  hint: "with a hint" | "without a hint",
): string {
  const hintColumn =
    hint === "with a hint"
      ? `, CASE WHEN pg_notification_queue_usage() < ${MAX_QUEUE_USAGE}
        THEN pg_notify(${quote(channel)}, '')::text END AS hint`
      : "";
  return `raised AS (
      INSERT INTO ${tables.revisions} AS r (namespace, revision)
      SELECT ${quote(namespace)}, 1 FROM (SELECT count(*) AS rows FROM ${changed}) AS c WHERE rows > 0
      ON CONFLICT (namespace) DO UPDATE SET revision = r.revision + 1
      RETURNING revision${hintColumn}
    )`;
}

/** Returns no row if nothing was ever written in the namespace. */
export function readRevision({ tables, namespace, quote }: Place): string {
  return `SELECT revision::text AS revision FROM ${tables.revisions}
    WHERE namespace = ${quote(namespace)}`;
}
