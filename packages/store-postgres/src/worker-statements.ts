/**
 * The SQL of workers' rows. Who changes one locks that row, and then the revision's. A heartbeat
 * locks its own row alone. It waits only for an eviction of the same worker.
 *
 * Only a join and a list look at who has the namespace: no other call finds a row of an incarnation
 * that did not join.
 */
import type { WorkerIdentity, WorkerMembership } from "@kc/core";
import type { Place } from "./calls.ts";
import { raiseRevision, readRevision } from "./revision.ts";
import { claim, foreign } from "./statements.ts";

/** The condition on a row `w` of the workers. */
export function isWorker(
  { namespace, quote }: Place,
  { workerId, incarnation }: WorkerIdentity,
): string {
  return `w.namespace = ${quote(namespace)} AND w.worker_id = ${quote(workerId)}
    AND w.incarnation = ${quote(incarnation)}`;
}

/** The claim; nothing of interest; the incarnation that stands under the id; the revision. */
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

/** One statement: the counter after it, and the revision as it was before. No row = evicted. */
export function heartbeat(place: Place, worker: WorkerIdentity): string[] {
  return [
    `UPDATE ${place.tables.workers} AS w SET counter = counter + 1 WHERE ${isWorker(place, worker)}
      RETURNING counter::text AS counter, (${readRevision(place)}) AS revision`,
  ];
}

/** The weight as its eight bytes: as text it is as exact as the user's `extra_float_digits`. */
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

/** A row if it was removed; a row if it stands still. */
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
