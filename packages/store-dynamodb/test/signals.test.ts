import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { DynamoDBStore } from "../src/index.ts";
import { at, scope } from "./support/fixture.ts";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

const worker = { workerId: "a", incarnation: "1" };
const shardId = "shardId-0";

it.each<[string, (store: DynamoDBStore, signal: AbortSignal) => Promise<unknown>]>([
  [
    "setCheckpoints",
    (store, signal) => store.setCheckpoints(scope, [{ shardId, checkpoint: at(1) }], { signal }),
  ],
  ["putShards", (store, signal) => store.putShards(scope, [{ shardId, lineage: "" }], { signal })],
  ["acquireLeases", (store, signal) => store.acquireLeases(scope, worker, [shardId], { signal })],
  ["removeShards", (store, signal) => store.removeShards(scope, [shardId], { signal })],
  ["heartbeat", (store, signal) => store.heartbeat(scope, worker, { signal })],
])(
  "an AbortSignal.timeout() that nobody else holds ends %s, whatever is collected",
  async (_name, call) => {
    // The application row is known at once; then nothing answers.
    const client = {
      send: (command: object) =>
        command.constructor.name === "GetItemCommand" && _name === "setCheckpoints"
          ? Promise.resolve({})
          : new Promise<never>(() => undefined),
    };
    const store = new DynamoDBStore({ client, table: "checkpoints", timeoutMs: 60_000 });
    const ended = call(store, AbortSignal.timeout(300));
    const collecting = setInterval(gc, 20);
    try {
      await expect(ended).rejects.toMatchObject({ name: "TimeoutError" });
    } finally {
      clearInterval(collecting);
    }
  },
);
