/**
 * The consumer runs in a separate process, so that it can be stopped and killed. Its handler
 * appends a line to a journal, which outlives the process as a row in a database would.
 */
import { openSync, writeSync } from "node:fs";
import { Consumer, KcError, type Counter } from "@kc/core";
import { SqliteStore } from "@kc/store-sqlite";
import { makeClient } from "./client.ts";
import { readArguments, type ConsumerReport } from "./protocol.ts";

const { endpoint, stream, checkpoints, journal } = readArguments(process.argv[2]);

const stopping = new AbortController();
process.on("SIGINT", () => stopping.abort());
process.on("SIGTERM", () => stopping.abort());

const report = (message: ConsumerReport): void => void process.send?.(message);
const counter: Counter = {
  add() {},
  record() {},
  set(name, value, attributes) {
    if (name !== "lag" || !("shardId" in attributes)) return;
    report({ kind: "lag", shardId: String(attributes.shardId), lagMs: value });
  },
  remove(name, attributes) {
    if (name !== "lag" || !("shardId" in attributes)) return;
    report({ kind: "lag", shardId: String(attributes.shardId), lagMs: null });
  },
};

const store = new SqliteStore({ path: checkpoints });
const client = makeClient(endpoint);
const consumer = new Consumer({
  stream,
  application: "quickstart",
  store,
  client,
  counter,
  logger: { debug() {}, info() {}, warn: console.error, error: console.error },
  start: "TRIM_HORIZON",
  immediateRescan: true,
});

const lines = openSync(journal, "a");
try {
  await store.setup();
  await consumer.scan(
    ({ shardId, sequenceNumber, partitionKey }) => {
      writeSync(lines, `${shardId} ${sequenceNumber} ${partitionKey}\n`);
    },
    { signal: stopping.signal },
  );
} catch (error) {
  console.error(KcError.is(error) ? `${error.code}: ${error.message}` : error);
  process.exitCode = 1;
} finally {
  await store.close();
  client.destroy();
  process.disconnect?.();
}
