/**
 * The SQL of workers' rows. A join, an eviction or a leave locks the worker's row and then the revision's row. A
 * heartbeat locks only its own row, and waits only for an eviction of the same worker.
 *
 * Only joins and lists check who has claimed the namespace: the other calls match only an incarnation that joined.
 */
import type { WorkerIdentity, WorkerMembership } from "@kc/core";
import type { Place } from "./calls.ts";
import { raiseRevision, readRevision } from "./revision.ts";
import { claim, foreign } from "./statements.ts";

/** The condition that selects the worker's row `w`. */
export function isWorker(
  { namespace, quote }: Place,
  { workerId, incarnation }: WorkerIdentity,
): string {
  return `w.namespace = ${quote(namespace)} AND w.worker_id = ${quote(workerId)}
    AND w.incarnation = ${quote(incarnation)}`;
}

/** Returns the namespace's claim; one result to ignore; the incarnation stored under the id; the revision. */
export function join(place: Place, worker: WorkerMembership): string[] {
  const { tables, namespace, quote } = place;
  const row = {
    worker_id: worker.workerId,
    incarnation: worker.incarnation,
    weight: worker.weight,
    max_shards: worker.maxShards ?? null,
  };
  return [
    claim(place),
    `WITH entered AS (
      INSERT INTO ${tables.workers} (namespace, worker_id, incarnation, weight, max_shards, counter)
      SELECT ${quote(namespace)}, worker_id, incarnation, weight, max_shards, 0
      FROM json_to_record(${quote(JSON.stringify(row))})
        AS w (worker_id text, incarnation text, weight double precision, max_shards bigint)
      WHERE NOT ${foreign(place)}
      ON CONFLICT (namespace, worker_id) DO NOTHING
      RETURNING worker_id
    ), ${raiseRevision(place, "entered", "with a hint")}
    SELECT FROM raised`,
    `SELECT incarnation FROM ${tables.workers}
      WHERE namespace = ${quote(namespace)} AND worker_id = ${quote(worker.workerId)}`,
    readRevision(place),
  ];
}

/** One statement. Returns the new counter and the revision, or no row if the worker was evicted. */
export function heartbeat(place: Place, worker: WorkerIdentity): string[] {
  return [
    `UPDATE ${place.tables.workers} AS w SET counter = counter + 1 WHERE ${isWorker(place, worker)}
      RETURNING counter::text AS counter, (${readRevision(place)}) AS revision`,
  ];
}

/** Reads the weight as its eight bytes: as text, its precision would depend on the user's `extra_float_digits`. */
export function listWorkers(place: Place): string[] {
  const { tables, namespace, quote } = place;
  return [
    claim(place),
    readRevision(place),
    `SELECT worker_id, incarnation, encode(float8send(weight), 'hex') AS weight,
        max_shards::text AS max_shards, counter::text AS counter
      FROM ${tables.workers} WHERE namespace = ${quote(namespace)}`,
  ];
}

/** The first statement returns a row if it removed the worker; the second, if the worker is still there. */
export function evict(
  place: Place,
  worker: WorkerIdentity & { readonly counter: number },
): string[] {
  const own = isWorker(place, worker);
  return [
    remove(place, `${own} AND w.counter = ${place.quote(String(worker.counter))}::bigint`),
    `SELECT worker_id FROM ${place.tables.workers} AS w WHERE ${own}`,
  ];
}

export function leave(place: Place, worker: WorkerIdentity): string[] {
  return [remove(place, isWorker(place, worker))];
}

function remove(place: Place, condition: string): string {
  return `WITH gone AS (
      DELETE FROM ${place.tables.workers} AS w WHERE ${condition} RETURNING worker_id
    ), ${raiseRevision(place, "gone", "with a hint")}
    SELECT worker_id FROM gone`;
}
