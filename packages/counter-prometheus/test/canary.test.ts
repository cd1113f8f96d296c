import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { ENCODED_CANARIES, scanWithCanaries } from "../../core/test/support/canary.ts";
import { PrometheusCounter } from "../src/index.ts";

test("no data, partition key or credential is in what is scraped", async () => {
  const registry = new Registry();
  await scanWithCanaries(new PrometheusCounter({ registry }));
  const scraped = await registry.metrics();
  for (const canary of ENCODED_CANARIES) expect(scraped).not.toContain(canary);
  expect(scraped).toContain('kinesis_errors_total{error="HANDLER_FAILED"');
  expect(scraped).toContain('operation="GetRecords",error="TimeoutError"');
});
