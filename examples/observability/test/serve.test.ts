import { Consumer } from "@kc/core";
import { FakeKinesis } from "@kc/emulator";
import { Gauge, register } from "prom-client";
import { expect, onTestFinished, test, vi } from "vitest";
import { serve } from "../src/serve.ts";

test("a metric that cannot be collected is an error of its request, and ends no worker", async () => {
  const printed = vi.spyOn(console, "error").mockReturnValue(undefined);
  onTestFinished(() => printed.mockRestore());
  const collect = (): never => {
    throw new Error("no figure");
  };
  register.registerMetric(new Gauge({ name: "broken", help: "a metric", registers: [], collect }));
  onTestFinished(() => register.removeSingleMetric("broken"));
  const client = new FakeKinesis({ streams: { orders: 1 } });
  const server = await serve(new Consumer({ stream: "orders", client }), 0);
  onTestFinished(() => server.close());

  // An unhandled rejection would end the process, and fails this test.
  expect((await fetch(`${server.url}/metrics`)).status).toBe(500);
  expect((await fetch(`${server.url}/live`)).status).toBe(503);
  expect(printed).toHaveBeenCalledOnce();
});
