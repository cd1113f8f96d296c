import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startPostgres } from "@kc-internal/test-services";
import { expect, onTestFinished, test } from "vitest";
import { SCOPE, SHARD } from "./support/leases.ts";
import { at, failure, open, recovers, UNAVAILABLE } from "./support/open.ts";
import { eventually } from "./support/poll.ts";

test("a server that became a standby is neither read nor written, until it is promoted", async () => {
  const server = await startPostgres();
  onTestFinished(() => server.close());
  const { store, admin } = await open(server);
  await store.setCheckpoint(SCOPE, at(1));
  const { rows } = await admin.query<{ data_directory: string }>("SHOW data_directory");
  await server.stop();
  writeFileSync(join(rows[0]!.data_directory, "standby.signal"), "");
  const promoted = server.restart(); // it serves everything only then
  const calls = {
    setCheckpoint: () => store.setCheckpoint(SCOPE, at(2)),
    getCheckpoint: () => store.getCheckpoint(SCOPE, SHARD),
    getCheckpoints: () => store.getCheckpoints(SCOPE),
    setup: () => store.setup(),
  };
  for (const [name, call] of Object.entries(calls)) {
    const error = await eventually(
      `${name} on a standby`,
      () => failure(call()),
      (answer) => /standby/.test(String(answer)) || "answer" in Object(answer),
    );
    expect(error, name).toMatchObject(UNAVAILABLE);
  }
  await admin.query("SELECT pg_promote()");
  await promoted;
  await recovers(store, 2);
});

test("a database that is read-only refuses writes in passing, by a new connection each time", async () => {
  const server = await startPostgres();
  onTestFinished(() => server.close());
  const { store, pool, admin } = await open(server);
  await store.setCheckpoint(SCOPE, at(1));
  let connections = 0;
  pool.on("connect", () => (connections += 1));
  await admin.query("ALTER SYSTEM SET default_transaction_read_only = on");
  await admin.query("SELECT pg_reload_conf()");
  const error = await eventually(
    "a refusal",
    () => failure(store.setCheckpoint(SCOPE, at(2))),
    (answer) => /25006/.test(String(answer)),
  );
  expect(error).toMatchObject(UNAVAILABLE);
  // Behind the same name there may be another server by now.
  await failure(store.setCheckpoint(SCOPE, at(2)));
  expect(connections).toBeGreaterThan(0);
  await admin.query("ALTER SYSTEM RESET default_transaction_read_only");
  await admin.query("SELECT pg_reload_conf()");
  await recovers(store, 2);
});
