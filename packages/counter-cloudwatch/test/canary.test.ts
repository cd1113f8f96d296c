import { expect, test } from "vitest";
import { ENCODED_CANARIES, scanWithCanaries } from "../../core/test/support/canary.ts";
import { CloudWatchCounter } from "../src/index.ts";
import { startCloudWatch } from "./support/cloudwatch.ts";
import { Lines } from "./support/lines.ts";

function expectNoCanary(sent: unknown): void {
  const text = JSON.stringify(sent);
  expect(text).toContain("HANDLER_FAILED");
  expect(text).toContain("TimeoutError");
  for (const canary of ENCODED_CANARIES) expect(text).not.toContain(canary);
}

test("no data, partition key or credential is in a request of PutMetricData", async () => {
  await using cloudWatch = await startCloudWatch();
  await using counter = new CloudWatchCounter({ client: cloudWatch.client, perShard: true });
  await scanWithCanaries(counter);
  await counter.flush();
  expectNoCanary(cloudWatch.requests);
});

test("no data, partition key or credential is in a document of the embedded metric format", async () => {
  const output = new Lines();
  await using counter = new CloudWatchCounter({ output, perShard: true });
  await scanWithCanaries(counter);
  await counter.flush();
  expectNoCanary(output.documents);
});
