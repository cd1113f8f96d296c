import { checkpointAt, type AcquiredLease, type Checkpoint } from "@kc/core";
import type { RowDataPacket } from "mysql2/promise";
import { beforeEach, describe, expect, it } from "vitest";
import type { MysqlStore } from "../src/index.ts";
import { SERVERS, ownDatabase, type Database } from "./support/servers.ts";
import {
  at,
  NAMESPACE,
  numberAt,
  openStore,
  SCOPE,
  SHARD,
  WORKER,
  writeOf,
} from "./support/store.ts";

const OLD = { ...WORKER, workerId: "old" };

/**
 * The version before: it locks the lease's row in a transaction, and knows no copy of it in the
 * checkpoint's. During a deploy both are there.
 */
describe.each(SERVERS)("beside the version before on $name", ({ address }) => {
  let database: Database;
  let store: MysqlStore;

  beforeEach(async () => {
    database = await ownDatabase(address);
    store = openStore({ connection: database.options });
    await store.setup();
    await store.joinWorker(SCOPE, WORKER);
    await store.putShards(SCOPE, [{ shardId: SHARD, lineage: "{}" }]);
  });

  const row = `namespace = '${NAMESPACE}' AND shard_id = '${SHARD}'`;
  const old = async (...statements: readonly string[]): Promise<void> => {
    const lock = `SELECT * FROM kinesis_consumer_leases WHERE ${row} FOR UPDATE NOWAIT`;
    const all = ["START TRANSACTION", lock, ...statements, "COMMIT"];
    await database.admin.query(all.join(";\n"));
  };
  const oldClaims = async (): Promise<void> => {
    await store.joinWorker(SCOPE, OLD); // the row is the same
    await old(`UPDATE kinesis_consumer_leases SET owner = 'old#1', epoch = epoch + 1 WHERE ${row}`);
  };
  const oldWrites = (n: number): Promise<void> =>
    old(`INSERT INTO kinesis_consumer
        (namespace, shard_id, sequence_number, kc_at, kc_sub_sequence_number, kc_shard_end)
      VALUES ('${NAMESPACE}', '${SHARD}', ${numberAt(n)}, NULL, NULL, NULL)
      ON DUPLICATE KEY UPDATE sequence_number = GREATEST(sequence_number, VALUES(sequence_number)),
        kc_at = VALUES(kc_at), kc_sub_sequence_number = VALUES(kc_sub_sequence_number),
        kc_shard_end = VALUES(kc_shard_end)`);

  const claim = async (): Promise<AcquiredLease> => {
    const [lease] = await store.acquireLeases(SCOPE, WORKER, [SHARD]);
    return lease!;
  };
  const flush = async ({ fence }: AcquiredLease, to: Checkpoint): Promise<string> => {
    const [answer] = await store.setCheckpoints(SCOPE, [{ ...writeOf(to), fence }]);
    return answer!.outcome;
  };
  const copy = async (): Promise<unknown> => {
    const [[found]] = (await database.admin.query<RowDataPacket[]>(
      `SELECT kc_epoch AS epoch, kc_owner AS owner FROM kinesis_consumer WHERE ${row}`,
    )) as unknown as [RowDataPacket[]];
    return found && { epoch: Number(found["epoch"]), owner: found["owner"] as unknown };
  };

  it("a claim of it fences out, although the copy still names the one before", async () => {
    const lease = await claim();
    expect(await flush(lease, at(1))).toBe("written");
    expect(await copy()).toStrictEqual(lease.fence);
    await store.leaveWorker(SCOPE, WORKER);
    await oldClaims();
    expect(await copy()).toStrictEqual(lease.fence);
    expect(await flush(lease, at(2))).toBe("lease-lost");
    await expect(store.setCheckpoint(SCOPE, writeOf(at(2)))).rejects.toMatchObject({
      code: "LEASE_LOST",
    });
    await oldWrites(3);
    expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(3));
    expect(await flush(lease, at(4))).toBe("lease-lost");
  });

  it("shards go to it and come back, with what either wrote last", async () => {
    await flush(await claim(), at(1, 4));
    await store.leaveWorker(SCOPE, WORKER);
    await oldClaims();
    await oldWrites(5);
    await store.leaveWorker(SCOPE, OLD);
    await store.joinWorker(SCOPE, { ...WORKER, incarnation: "2" });
    const again = { ...WORKER, incarnation: "2" };
    const [lease] = await store.acquireLeases(SCOPE, again, [SHARD]);
    expect(lease).toMatchObject({ fence: { epoch: 3 }, checkpoint: at(5) });
    expect(await copy()).toStrictEqual(lease!.fence);
    expect(await flush(lease!, at(6))).toBe("written");
  });

  it("what is done beyond a position ends when it moves the position", async () => {
    const lease = await claim();
    // Numbers of different lengths: the text of the lower one is the greater text.
    const beyond = (sequenceNumber: string, ahead: string): Checkpoint => ({
      kind: "position",
      sequenceNumber,
      ahead,
    });
    expect(await flush(lease, beyond("9", "zz"))).toBe("written");
    await oldWrites(10);
    expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(10));
    // Its text stands there still, and is not what the next one is compared with.
    expect(await flush(lease, beyond(numberAt(10), "00"))).toBe("written");
    expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(beyond(numberAt(10), "00"));
  });

  it("a position inside an aggregate is the last whole record to it, and its own rows stay what they are", async () => {
    const lease = await claim();
    const inside = (n: number, subSequenceNumber: number, whole: number): Checkpoint =>
      checkpointAt({
        sequenceNumber: numberAt(n),
        subSequenceNumber,
        wholeSequenceNumber: numberAt(whole),
      });
    // Its own row inside an aggregate: the aggregate's number stands in Go's column.
    await old(`INSERT INTO kinesis_consumer
        (namespace, shard_id, sequence_number, kc_at, kc_sub_sequence_number, kc_shard_end)
      VALUES ('${NAMESPACE}', '${SHARD}', ${numberAt(9)}, ${numberAt(9)}, 3, NULL)`);
    expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(9, 3));
    expect(await flush(lease, inside(9, 2, 8))).toBe("behind");
    expect(await flush(lease, inside(9, 4, 8))).toBe("written");
    expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(inside(9, 4, 8));
    // It takes the position for record 8, and does the aggregate again.
    await oldWrites(9);
    expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(9));
    // It leaves our columns as they were: beside the number that they belonged to they count no more.
    expect(await flush(lease, inside(12, 1, 11))).toBe("written");
    await oldWrites(11);
    expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(11));
  });

  it("a lease that it gave back is free: a write without leases is accepted", async () => {
    await flush(await claim(), at(1));
    await old(`UPDATE kinesis_consumer_leases SET owner = NULL WHERE ${row}`);
    const { outcome } = await store.setCheckpoint(SCOPE, writeOf(at(2)));
    expect(outcome).toBe("written");
    expect(await copy()).toStrictEqual({ epoch: 1, owner: null });
  });

  it("its tables ask for setup(), which adds the columns and keeps what is there", async () => {
    const lease = await claim();
    await flush(lease, at(1));
    await database.admin.query(`ALTER TABLE kinesis_consumer
      DROP COLUMN kc_epoch, DROP COLUMN kc_owner, DROP COLUMN kc_write, DROP COLUMN kc_ahead,
      DROP COLUMN kc_inside, DROP COLUMN kc_whole`);
    const next = openStore({ connection: database.options });
    await expect(next.getCheckpoint(SCOPE, SHARD)).rejects.toMatchObject({
      code: "STORE_SCHEMA",
      message: expect.stringContaining("ADD COLUMN kc_epoch"),
    });
    await next.setup();
    const [answer] = await next.setCheckpoints(SCOPE, [{ ...writeOf(at(2)), fence: lease.fence }]);
    expect(answer?.outcome).toBe("written");
    expect(await copy()).toStrictEqual(lease.fence);
  });
});
