import { once } from "node:events";
import { checkpointAt } from "@kc/core";
import Libsql from "libsql";
import { SqliteStore } from "../../src/index.ts";

/** What a second process does in the tests. It runs from a bundle of the sources: see `processes.ts`. */
export type Task = "race" | "open" | "setup" | "endless" | "hold-lock";

const [task = "", path = "", name = ""] = process.argv.slice(2);
const scope = { application: "billing", streamName: "orders" };
const shardId = "shardId-000000000000";
const store = new SqliteStore({ path, busyTimeoutMs: 30_000 });

const write = async (n: number): Promise<string> => {
  const checkpoint = checkpointAt({ sequenceNumber: String(n) });
  return (await store.setCheckpoint(scope, { shardId, checkpoint })).outcome;
};

const TASKS: Record<Task, () => Promise<unknown>> = {
  /** Writes 1 to 100, jumping back and forth, and reports each outcome. */
  race: async () => {
    const outcomes: [number, string][] = [];
    for (let index = 0; index < 100; index++) {
      const n = ((index * 37) % 100) + 1;
      outcomes.push([n, await write(n)]);
    }
    return outcomes;
  },
  open: async () => {
    const startedAt = new Date(Number(name));
    const row = {
      ...scope,
      streamARN: "arn",
      startedAt,
      start: "LATEST",
      migrated: false,
    } as const;
    const opened = await store.openApplication(scope, row);
    return { outcome: opened.outcome, startedAt: opened.row.startedAt.getTime() };
  },
  setup: () => store.setup(),
  /** Tells each position as soon as the store has acknowledged it. */
  endless: async () => {
    for (let n = 1; ; n++) {
      await write(n);
      process.send?.({ acknowledged: n });
    }
  },
  /** Waits in the middle of a transaction that has changed rows; commits it with the next message. */
  "hold-lock": async () => {
    await write(1);
    const database = new Libsql(path);
    database.exec("BEGIN IMMEDIATE; UPDATE kc_checkpoints SET sequence_number = '999'");
    process.send?.({ acknowledged: 0 });
    process.channel?.ref();
    await once(process, "message");
    database.exec("COMMIT");
  },
};

function isTask(text: string): text is Task {
  return Object.hasOwn(TASKS, text);
}

process.once("message", () => {
  if (!isTask(task)) throw new Error(`there is no task ${task}`);
  void TASKS[task]().then(
    (answer) => process.send?.({ answer }, () => process.disconnect()),
    (error: unknown) => process.send?.({ error: String(error) }, () => process.disconnect()),
  );
});
process.send?.({ ready: true });
