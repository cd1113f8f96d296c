import type { Place } from "./calls.ts";

/**
 * A hint costs nothing without listeners; a full queue would cost the transaction. Postgres fills its
 * queue while any session that listens, of any user, has a transaction open: from half of it on
 * there are no hints, and changes are seen by heartbeats.
 */
const MAX_QUEUE_USAGE = 0.5;

/**
 * A part of a WITH that raises the revision by one, if the part called `changed` has any rows. It
 * comes last in its transaction: the row is locked until the commit, and nobody who holds it waits
 * for anything else. `count(*)`, not `EXISTS`: all of `changed` is done, and its rows are locked,
 * before this row is. So a reader of a revision sees the changes that it stands for.
 *
 * The hint is sent by Postgres when the transaction commits, and never if it does not.
 */
export function raiseRevision(
  { tables, namespace, channel, quote }: Place,
  changed: string,
  hint: "with a hint" | "without a hint",
): string {
  const told =
    hint === "with a hint"
      ? `, CASE WHEN pg_notification_queue_usage() < ${MAX_QUEUE_USAGE}
        THEN pg_notify(${quote(channel)}, '')::text END AS told`
      : "";
  return `raised AS (
      INSERT INTO ${tables.revisions} AS r (namespace, revision)
      SELECT ${quote(namespace)}, 1 FROM (SELECT count(*) AS rows FROM ${changed}) AS c WHERE rows > 0
      ON CONFLICT (namespace) DO UPDATE SET revision = r.revision + 1
      RETURNING revision${told}
    )`;
}

/** No row where nothing was ever written. */
export function readRevision({ tables, namespace, quote }: Place): string {
  return `SELECT revision::text AS revision FROM ${tables.revisions}
    WHERE namespace = ${quote(namespace)}`;
}
