import { Socket } from "node:net";
import { startProxy } from "@kc-internal/test-services";
import { expect, inject, onTestFinished, test } from "vitest";
import { PostgresStore, type PostgresConnection } from "../src/index.ts";
import { SCOPE, WORKER } from "./support/leases.ts";
import { CLOSED, DENIED, failure, open, type Opened } from "./support/open.ts";
import { eventually } from "./support/poll.ts";

/** A store that can watch, and what its watch has heard. */
function watcher({ pool, schema }: Opened, listenConnection: PostgresConnection) {
  const store = new PostgresStore({ pool, schema, listenConnection });
  const stop = new AbortController();
  let hints = 0;
  const watching = failure(store.watch!(SCOPE, () => (hints += 1), stop.signal));
  onTestFinished(async () => {
    stop.abort();
    await watching;
  });
  const heard = (after: number) =>
    eventually(
      "a hint",
      () => hints,
      (count) => count > after,
    );
  return { store, stop, watching, heard, hints: () => hints };
}

/** The sessions that listen under this name. */
async function listeners({ admin, schema }: Opened): Promise<number> {
  const { rowCount } = await admin.query(
    "SELECT FROM pg_stat_activity WHERE application_name = $1",
    [schema],
  );
  return rowCount ?? 0;
}

const own = ({ schema }: Opened, port?: number): PostgresConnection & object => {
  const { host, user, password, database, ...server } = inject("postgres");
  const application_name = schema;
  return { host, user, password, database, port: port ?? server.port, application_name };
};

test("there is no watch without a connection for it", async () => {
  const { store } = await open(inject("postgres"));
  expect(store.watch).toBeUndefined();
});

test("a watch whose connection was cut reconnects, and ends with its signal", async () => {
  const opened = await open(inject("postgres"));
  const proxy = await startProxy(inject("postgres"));
  onTestFinished(() => proxy.close());
  const watch = watcher(opened, own(opened, proxy.port));
  await watch.heard(0);
  await proxy.cut();
  await eventually(
    "its session ends",
    () => listeners(opened),
    (count) => count === 0,
  );
  await proxy.restore();
  // Hints that it was deaf to are made up for by one when it hears again.
  await watch.heard(watch.hints());
  const before = watch.hints();
  await opened.store.joinWorker(SCOPE, WORKER);
  await watch.heard(before);
  watch.stop.abort();
  expect(await watch.watching).toEqual({ answer: undefined });
  await eventually(
    "its session ends",
    () => listeners(opened),
    (count) => count === 0,
  );
});

test("a watch on a half-open connection ends with its signal, and leaves no socket behind", async () => {
  const opened = await open(inject("postgres"));
  const proxy = await startProxy(inject("postgres"));
  onTestFinished(() => proxy.close());
  const sockets = (): number => {
    const handles = Reflect.apply(Reflect.get(process, "_getActiveHandles"), process, []);
    return (handles as readonly object[]).filter(
      (handle) => handle instanceof Socket && handle.remotePort === proxy.port,
    ).length;
  };
  const watch = watcher(opened, own(opened, proxy.port));
  await watch.heard(0);
  proxy.blackhole();
  expect(sockets()).toBe(1);
  watch.stop.abort();
  expect(await watch.watching).toEqual({ answer: undefined });
  await eventually("our socket is closed", sockets, (count) => count === 0);
});

test("a server's end of the session is met by another one", async () => {
  const opened = await open(inject("postgres"));
  const watch = watcher(opened, own(opened));
  await watch.heard(0);
  const before = watch.hints();
  await opened.admin.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
    [opened.schema],
  );
  await watch.heard(before);
  // The session that was ended says so before it is gone.
  await eventually(
    "one session",
    () => listeners(opened),
    (count) => count === 1,
  );
});

test("changes of others are not heard: another application's, and what was rolled back", async () => {
  const opened = await open(inject("postgres"));
  const { store, admin, schema } = opened;
  const watch = watcher(opened, own(opened));
  await watch.heard(0);
  const before = watch.hints();
  await admin.query(
    `ALTER TABLE ${schema}.kinesis_consumer_revisions ADD CONSTRAINT never CHECK (revision < 1)`,
  );
  await failure(store.joinWorker(SCOPE, WORKER));
  await admin.query(`ALTER TABLE ${schema}.kinesis_consumer_revisions DROP CONSTRAINT never`);
  await store.joinWorker({ ...SCOPE, application: "audit" }, WORKER);
  await store.heartbeat({ ...SCOPE, application: "audit" }, WORKER);
  await store.joinWorker(SCOPE, WORKER);
  await watch.heard(before);
  await store.leaveWorker(SCOPE, WORKER);
  await watch.heard(before + 1);
  expect(watch.hints() - before, "a join and a leave").toBe(2);
});

test("a dispose ends a watch with STORE_CLOSED", async () => {
  const opened = await open(inject("postgres"));
  const watch = watcher(opened, own(opened));
  await watch.heard(0);
  await watch.store[Symbol.asyncDispose]();
  expect(await watch.watching).toMatchObject(CLOSED);
  const late = watch.store.watch!(SCOPE, () => undefined, watch.stop.signal);
  expect(await failure(late)).toMatchObject(CLOSED);
});

test("a watch goes where the option `stream` leads, at each connection: connectors and tunnels set it", async () => {
  const opened = await open(inject("postgres"));
  const { host, port } = inject("postgres");
  const sockets: Socket[] = [];
  const stream = (): Socket => {
    const socket = new Socket();
    const connect = socket.connect.bind(socket);
    Object.assign(socket, { connect: () => connect(port, host) });
    sockets.push(socket);
    return socket;
  };
  const nowhere = { ...own(opened), host: "tunnel.invalid" };
  const watch = watcher(opened, { ...nowhere, stream });
  await watch.heard(0);
  const before = watch.hints();
  sockets[0]!.destroy();
  await watch.heard(before);
  expect(sockets).toHaveLength(2);
});

test("a watch that can never work rejects", async () => {
  const opened = await open(inject("postgres"));
  const nobody = { ...own(opened), user: "nobody_there" };
  expect(await watcher(opened, nobody).watching).toMatchObject(DENIED);
});
