import { expect, it } from "vitest";
import { UNLIST_SHARDS } from "../src/application-statements.ts";
import { END_REMOVAL } from "../src/lease-statements.ts";
import type { Script } from "../src/script.ts";
import { connect, openStore, ownScope, SHARD } from "./support/redis.ts";

const WORKER = { workerId: "w", incarnation: "1", weight: 1, maxShards: undefined };

function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

/**
 * A client that stands still before it removes rows of leases, or another step, until it may go on; or once the server has
 * done it, before its answer.
 */
function haltingClient(when: "before" | "after" = "before", at: Script = END_REMOVAL) {
  const client = connect();
  const pipeline = client.pipeline.bind(client);
  const reached = gate();
  const go = gate();
  Reflect.set(client, "pipeline", (commands: unknown[][]) => {
    const queued = pipeline(commands);
    if (!commands.some((parts) => parts.flat().includes(at.sha))) return queued;
    const exec = async () => {
      const done = when === "after" ? await queued.exec() : undefined;
      reached.open();
      await go.opened;
      return done ?? queued.exec();
    };
    return { exec };
  });
  return { client, reached: reached.opened, go: go.open };
}

it("a shard whose removal is under way cannot be claimed, and can be put and claimed after it", async () => {
  const { client, reached, go } = haltingClient();
  const scope = ownScope();
  const [remover, store] = [openStore({ client }), openStore({ client: connect() })];
  await store.joinWorker(scope, WORKER);
  await store.putShards(scope, [{ shardId: SHARD, lineage: "{}" }]);
  const removal = remover.removeShards(scope, [SHARD]);
  await reached;
  expect((await store.listLeases(scope)).leases, "its row is there still").toHaveLength(1);
  expect(await store.acquireLeases(scope, WORKER, [SHARD])).toStrictEqual([]);
  go();
  await removal;
  expect((await store.listLeases(scope)).leases).toStrictEqual([]);
  await store.putShards(scope, [{ shardId: SHARD, lineage: "{}" }]);
  expect(await store.acquireLeases(scope, WORKER, [SHARD])).toHaveLength(1);
});

it("a removal that stopped half-way is done by the next one", async () => {
  const { client, reached } = haltingClient();
  const scope = ownScope();
  const [remover, store] = [openStore({ client }), openStore({ client: connect() })];
  await store.joinWorker(scope, WORKER);
  await store.putShards(scope, [{ shardId: SHARD, lineage: "{}" }]);
  const stopped = remover.removeShards(scope, [SHARD]).catch(() => "stopped");
  await reached;
  await remover[Symbol.asyncDispose]();
  expect(await stopped).toBe("stopped");
  await store.removeShards(scope, [SHARD]);
  await store.putShards(scope, [{ shardId: SHARD, lineage: "{}" }]);
  expect(await store.acquireLeases(scope, WORKER, [SHARD])).toHaveLength(1);
});

it("a removal that stood still takes no row that was put and claimed after another removal", async () => {
  const { client, reached, go } = haltingClient();
  const scope = ownScope();
  const [remover, store] = [openStore({ client }), openStore({ client: connect() })];
  await store.joinWorker(scope, WORKER);
  await store.putShards(scope, [{ shardId: SHARD, lineage: "{}" }]);
  const late = remover.removeShards(scope, [SHARD]);
  await reached;
  await store.removeShards(scope, [SHARD]);
  await store.putShards(scope, [{ shardId: SHARD, lineage: "{}" }]);
  const [lease] = await store.acquireLeases(scope, WORKER, [SHARD]);
  go();
  await late;
  const { leases } = await store.listLeases(scope);
  expect(leases.map(({ owner, epoch }) => ({ owner, epoch }))).toStrictEqual([lease!.fence]);
});

it("a remover that is lost once the row is gone does not prevent a claim of a new one", async () => {
  const { client, reached } = haltingClient("after");
  const scope = ownScope();
  const [remover, store] = [openStore({ client }), openStore({ client: connect() })];
  await store.joinWorker(scope, WORKER);
  await store.putShards(scope, [{ shardId: SHARD, lineage: "{}" }]);
  const lost = remover.removeShards(scope, [SHARD]).catch(() => "lost");
  await reached;
  await remover[Symbol.asyncDispose]();
  expect(await lost).toBe("lost");
  await store.putShards(scope, [{ shardId: SHARD, lineage: "{}" }]);
  expect(await store.acquireLeases(scope, WORKER, [SHARD])).toHaveLength(1);
});

const OTHER = "shardId-other";
const at = (n: number, shardId: string = SHARD) =>
  ({ shardId, checkpoint: { kind: "position", sequenceNumber: String(n) } }) as const;

it("a checkpoint that is written after its shard's removal is listed again", async () => {
  const scope = ownScope();
  const open = () => openStore({ client: connect() });
  const writer = open();
  await writer.setCheckpoints(scope, [at(1), at(1, OTHER)]);
  await writer.getCheckpoints(scope);
  await open().removeShards(scope, [SHARD]);
  const answers = await writer.setCheckpoints(scope, [at(2, OTHER), at(2)]);
  expect(answers.map(({ outcome }) => outcome)).toStrictEqual(["written", "written"]);
  expect([...(await open().getCheckpoints(scope)).keys()].toSorted()).toStrictEqual(
    [SHARD, OTHER].toSorted(),
  );
});

it("a removal that stood still takes no name that was listed after it", async () => {
  const { client, reached, go } = haltingClient("before", UNLIST_SHARDS);
  const scope = ownScope();
  const open = () => openStore({ client: connect() });
  const [remover, store] = [openStore({ client }), open()];
  await store.setCheckpoints(scope, [at(1), at(1, OTHER)]);
  await store.getCheckpoints(scope);
  const late = remover.removeShards(scope, [SHARD]);
  await reached;
  await store.setCheckpoint(scope, at(2));
  go();
  await late;
  expect((await open().getCheckpoints(scope)).has(SHARD)).toBe(true);
});
