import type { CheckpointWrite, Fence } from "@kc/core";
import type { Pool, RowDataPacket } from "mysql2/promise";
import { beforeEach, describe, expect, it } from "vitest";
import type { MysqlStore } from "../src/index.ts";
import { SERVERS, ownDatabase, ownPool, type Database } from "./support/servers.ts";
import { NAMESPACE, openStore, SCOPE, shard, WORKER } from "./support/store.ts";

const ROUNDS = 1000;
/** Races at once, each on a shard of its own. */
const LANES = 4;
const OLD: Fence = { epoch: 1, owner: "old#1" };
const INSERT_LEASE = "INSERT INTO kinesis_consumer_leases (namespace, shard_id, epoch, owner)";

/** What a store with leases does when it takes a shard: the lease first, then the checkpoint. */
async function claim(pool: Pool, shardId: string): Promise<string | undefined> {
  const connection = await pool.getConnection();
  try {
    await connection.query("START TRANSACTION");
    await connection.query(
      `INSERT INTO kinesis_consumer_leases (namespace, shard_id, epoch, owner)
       VALUES (?, ?, 1, 'new#1') ON DUPLICATE KEY UPDATE epoch = epoch + 1, owner = 'new#1'`,
      [NAMESPACE, shardId],
    );
    const seen = await stored(connection, shardId);
    await connection.query("COMMIT");
    return seen;
  } finally {
    connection.release();
  }
}

async function stored(from: Pick<Pool, "query">, shardId: string): Promise<string | undefined> {
  const [rows] = await from.query<RowDataPacket[]>(
    `SELECT CAST(sequence_number AS CHAR) AS number FROM kinesis_consumer
     WHERE namespace = ? AND shard_id = ?`,
    [NAMESPACE, shardId],
  );
  return rows[0]?.["number"] as string | undefined;
}

const seven = (shardId: string, fence: Fence | undefined): CheckpointWrite => ({
  shardId,
  checkpoint: { kind: "position", sequenceNumber: "7" },
  ...(fence && { fence }),
});

type Write = (shardId: string, fence: Fence | undefined) => Promise<boolean>;

describe.each(SERVERS)("on $name", ({ address }) => {
  let pool: Pool;
  let database: Database;
  let stores: readonly MysqlStore[];
  /** Other processes, which claim. */
  let claimers: readonly MysqlStore[];

  beforeEach(async () => {
    database = await ownDatabase(address);
    const { options } = database;
    pool = ownPool({ ...options, connectionLimit: 3 * LANES });
    // The weaker level: at REPEATABLE READ the servers lock what such a statement reads unasked.
    pool.on("connection", (connection) => {
      void connection.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
    });
    stores = Array.from({ length: LANES }, () => openStore({ pool }));
    await stores[0]!.setup();
    for (const store of stores) await store.getCheckpoints(SCOPE);
    claimers = Array.from({ length: LANES }, () => openStore({ pool }));
    await claimers[0]!.joinWorker(SCOPE, WORKER);
  });

  type Claim = (shardId: string) => Promise<string | undefined>;
  const byHand: Claim = (shardId) => claim(pool, shardId);

  /** As a group claims: `old#1` has no worker's row, so its leases are free. */
  const byAcquire =
    (claimer: MysqlStore): Claim =>
    async (shardId) => {
      await claimer.putShards(SCOPE, [{ shardId, lineage: "{}" }]);
      const [lease] = await claimer.acquireLeases(SCOPE, WORKER, [shardId]);
      expect(lease, "the claim's answer").toBeDefined();
      const { checkpoint } = lease!;
      return checkpoint?.kind === "position" ? checkpoint.sequenceNumber : undefined;
    };

  const byStore =
    (store: MysqlStore): Write =>
    async (shardId, fence) => {
      const [result] = await store.setCheckpoints(SCOPE, [seven(shardId, fence)]);
      return result?.outcome === "written";
    };

  /** The statement that looks right: under READ COMMITTED it compares what it need not lock. */
  const byExists: Write = async (shardId, fence) => {
    const connection = await pool.getConnection();
    try {
      await connection.query("SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
      await connection.query("START TRANSACTION");
      const lease = "FROM kinesis_consumer_leases WHERE namespace = ? AND shard_id = ?";
      const [rows] = await connection.query<RowDataPacket[]>(
        fence === undefined
          ? `SELECT NOT EXISTS (SELECT 1 ${lease} AND owner IS NOT NULL) AS held`
          : `SELECT EXISTS (SELECT 1 ${lease} AND owner = '${fence.owner}') AS held`,
        [NAMESPACE, shardId],
      );
      const held = rows[0]?.["held"] === 1;
      if (held) {
        const row = [NAMESPACE, shardId];
        await connection.query(
          "INSERT INTO kinesis_consumer (namespace, shard_id, sequence_number) VALUES (?, ?, 7)",
          row,
        );
      }
      await connection.query("COMMIT");
      return held;
    } finally {
      connection.release();
    }
  };

  /**
   * A worker that lost its shard writes while another claims it. What the claim sees must be what
   * is stored in the end: a later write would change the new owner's checkpoint. Ends with the
   * first race that neither won.
   */
  async function race(
    fence: Fence | undefined,
    write: (lane: number) => Write,
    claimBy: (lane: number) => Claim,
  ): Promise<{ written: number; refused: number; broken: number }> {
    const tally = { written: 0, refused: 0, broken: 0 };
    let rounds = 0;
    const lane = async (index: number): Promise<void> => {
      while (rounds++ < ROUNDS && tally.broken === 0) {
        const round = rounds;
        const shardId = shard(round);
        if (fence) {
          const row = [NAMESPACE, shardId, fence.epoch, fence.owner];
          await pool.query(`${INSERT_LEASE} VALUES (?, ?, ?, ?)`, row);
        }
        // The write takes more round trips: let now the one, now the other come first.
        const turns = Math.floor(Math.random() * 60);
        const later = async (): Promise<string | undefined> => {
          for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
          return claimBy(index)(shardId);
        };
        // One in ten is no race, but one of its two outcomes, so that both are seen on any machine.
        const first = round % 20 === 0 ? await claimBy(index)(shardId) : undefined;
        const writing = write(index)(shardId, fence);
        if (round % 20 === 10) await writing;
        const claiming = round % 20 === 0 ? first : later();
        const [written, seen] = await Promise.all([writing, claiming]);
        tally[written ? "written" : "refused"] += 1;
        const stands = await stored(pool, shardId);
        if (seen !== stands || written !== (stands !== undefined)) tally.broken += 1;
      }
    };
    await Promise.all(Array.from({ length: LANES }, (_, index) => lane(index)));
    return tally;
  }

  describe.each([
    ["of a shard that another holds", OLD],
    ["of a shard that was never held", undefined],
  ])("a claim %s", (_title, fence) => {
    it.each([
      ["of the store's", (lane: number) => byAcquire(claimers[lane]!)],
      ["by hand", () => byHand],
    ])(`%s decides ${ROUNDS} races with a write`, async (_by, claimBy) => {
      const write = (lane: number): Write => byStore(stores[lane]!);
      const { written, refused, broken } = await race(fence, write, claimBy);
      expect(broken, "races that neither won").toBe(0);
      expect(Math.min(written, refused), "each wins some").toBeGreaterThan(ROUNDS / 50);
    });

    it("would not, if the write only looked whether the lease is there", async () => {
      const { broken } = await race(
        fence,
        () => byExists,
        () => byHand,
      );
      expect(broken).toBeGreaterThan(0);
    });
  });

  it("a write that waits behind a claim sees it, though it began before the claim's end", async () => {
    const shardId = shard(0);
    const before = { kind: "position", sequenceNumber: "5" } as const;
    await pool.query(`${INSERT_LEASE} VALUES (?, ?, 1, 'old#1')`, [NAMESPACE, shardId]);
    await stores[0]!.setCheckpoint(SCOPE, { shardId, checkpoint: before, fence: OLD });
    const claiming = await pool.getConnection();
    try {
      // By hand: one of the store's that waits gives up after a second, and may come second then.
      await claiming.query("START TRANSACTION");
      await claiming.query("UPDATE kinesis_consumer_leases SET epoch = 2, owner = 'new#1'");
      const writing = stores[0]!.setCheckpoints(SCOPE, [seven(shardId, OLD)]);
      await database.waitsForRow("`kinesis_consumer` (namespace");
      await claiming.query("COMMIT");
      expect(await writing).toStrictEqual([{ outcome: "lease-lost" }]);
      expect(await stored(pool, shardId)).toBe("5");
    } finally {
      claiming.destroy();
    }
  });

  it("a forced reset decides its races with writes of the owner whom it fences out", async () => {
    const tally = { written: 0, refused: 0 };
    for (let round = 0; round < 200; round++) {
      const shardId = shard(round);
      await pool.query(`${INSERT_LEASE} VALUES (?, ?, 1, 'old#1')`, [NAMESPACE, shardId]);
      const write = (): Promise<boolean> => byStore(stores[0]!)(shardId, OLD);
      const reset = (): Promise<void> =>
        stores[1]!.resetCheckpoint(SCOPE, shardId, undefined, { force: true });
      // One in ten is no race, but one of its two outcomes, so that both are seen on any machine.
      if (round % 20 === 0) await reset();
      const writing = write();
      if (round % 20 === 10) await writing;
      const [written] = await Promise.all([writing, round % 20 === 0 ? undefined : reset()]);
      tally[written ? "written" : "refused"] += 1;
      expect(await stored(pool, shardId), "a checkpoint that came back").toBeUndefined();
    }
    expect(Math.min(tally.written, tally.refused)).toBeGreaterThan(0);
  });

  it("bulk writes of crossing orders, claims and resets end, and acknowledge nothing lost", async () => {
    const shardIds = Array.from({ length: 50 }, (_, index) => shard(index));
    const flush = async (store: MysqlStore, ids: readonly string[]): Promise<number> => {
      let lost = 0;
      for (let n = 1; n <= 20; n++) {
        const checkpoint = { kind: "position", sequenceNumber: String(n) } as const;
        const writes = ids.map((shardId) => ({ shardId, checkpoint }));
        const answers = await store.setCheckpoints(SCOPE, writes);
        lost += answers.filter(({ outcome }) => outcome === "lease-lost").length;
      }
      return lost;
    };
    await claimers[0]!.putShards(
      SCOPE,
      shardIds.map((shardId) => ({ shardId, lineage: "{}" })),
    );
    const claims = async (): Promise<void> => {
      for (let start = 1; start < 25; start += 6) {
        const some = shardIds.slice(start, start + 6).toReversed();
        expect(await claimers[0]!.acquireLeases(SCOPE, WORKER, some)).toHaveLength(6);
      }
    };
    // One shard is claimed before any write, so that some are lost on any machine.
    await claim(pool, shardIds[0]!);
    const [lost] = await Promise.all([
      flush(stores[0]!, shardIds),
      flush(stores[1]!, shardIds.toReversed()),
      claims(),
    ]);
    expect(lost).toBeGreaterThan(0);
    for (const shardId of shardIds.slice(25)) expect(await stored(pool, shardId)).toBe("20");
  });
});
