import { expect, test } from "vitest";
import { freePort } from "../src/free-port.ts";

test("a port is given once, though nothing listens there yet", async () => {
  const ports = new Set<number>();
  for (let n = 0; n < 700; n += 1) ports.add(await freePort());
  expect(ports.size).toBe(700);
});
