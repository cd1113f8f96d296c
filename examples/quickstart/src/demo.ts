/**
 * Runs a consumer on an embedded Kinesis through a reshard, a clean stop and a kill -9, and
 * verifies that nothing was lost. Exit code 0 only if the verification succeeds.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startEmulator } from "@kc/emulator";
import { makeClient } from "./client.ts";
import { Feed } from "./feed.ts";
import { Interrupted, Life } from "./life.ts";
import { printProof, say } from "./screen.ts";
import { DemoStream } from "./stream.ts";

// Hides the SDK's warning about Node 20.
process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";

const { values } = parseArgs({
  options: {
    endpoint: { type: "string" },
    stream: { type: "string", default: "flights" },
    records: { type: "string" },
    rate: { type: "string", default: "4000" },
  },
});
// Other emulators are slower than ours.
const total = Number(values.records ?? (values.endpoint === undefined ? 40_000 : 6000));
if (!Number.isInteger(total) || total < 1000 || total > 40_000) {
  throw new RangeError("--records: a whole number from 1,000 to 40,000 is needed");
}

const interrupted = new AbortController();
process.on("SIGINT", () => interrupted.abort());

// The feed exceeds a shard's write quota, so that one is off. The consumer observes the read quota.
const emulator = values.endpoint
  ? undefined
  : await startEmulator({ quotas: { reads: true, writes: false } });
const endpoint = values.endpoint ?? emulator?.url ?? "";
say(emulator ? `an embedded Kinesis listens at ${endpoint}` : `the Kinesis at ${endpoint}`);

const client = makeClient(endpoint);
const stream = new DemoStream(client, values.stream);
const directory = mkdtempSync(join(tmpdir(), "kc-quickstart-"));
try {
  await stream.prepare(4);
  const feed = new Feed(client, stream.name, total, Number(values.rate));
  const life = new Life({ endpoint, stream, directory, feed, interrupted: interrupted.signal });
  try {
    await life.live();
  } finally {
    feed.stop();
    await life.end();
    await feed.done;
  }
  process.exitCode = printProof(feed.accepted, life.handled) ? 0 : 1;
} catch (error) {
  say(error instanceof Interrupted ? "interrupted: everything was stopped cleanly" : String(error));
  process.exitCode = error instanceof Interrupted ? 130 : 1;
} finally {
  await stream.remove();
  client.destroy();
  await emulator?.close();
  rmSync(directory, { recursive: true, force: true });
}
