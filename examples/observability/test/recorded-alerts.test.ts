import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SplitShardCommand } from "@aws-sdk/client-kinesis";
import { NoPrometheusError, promtool } from "@kc-internal/test-services";
import { type ConsumerRecord, type DeadLetterQueue, MemoryDeadLetterQueue } from "@kc/core";
import { PrometheusCounter } from "@kc/counter-prometheus";
import { expect, onTestFinished, test } from "vitest";
import { Recording } from "./support/recording.ts";
import { type Worker, World } from "./support/world.ts";

const rules = fileURLToPath(new URL("../alerts.yml", import.meta.url));
const asked = new Set(readFileSync(rules, "utf8").match(/\bkinesis_\w+/g));

interface Story {
  readonly title: string;
  readonly shards?: number;
  /** How it is while all is well. @default one worker that reads all shards */
  readonly begin?: (world: World, isIll: () => boolean) => Worker;
  /** What goes wrong, with the worker that was begun. */
  readonly incident: (world: World, recording: Recording, worker: Worker) => Promise<unknown>;
  /** The alerts that have fired by its end, and fire then: these, and no other. */
  readonly fired: readonly string[];
}

const SHARED = { maxShards: 100 };

const STORIES: readonly Story[] = [
  {
    title: "none for workers that come and go, and a reshard",
    begin: (world) => world.start("one", () => {}, SHARED),
    async incident(world, recording) {
      const two = world.start("two", () => {}, SHARED);
      await recording.run(6);
      const split = { ShardToSplit: "shardId-000000000000", NewStartingHashKey: "1000000" };
      await world.kinesis.send(new SplitShardCommand({ StreamName: "orders", ...split }));
      await recording.run(6);
      two.stop();
      await recording.run(6);
      world.start("two", () => {}, SHARED);
      await recording.run(6);
    },
    fired: [],
  },
  {
    title: "a worker loses all its leases at once",
    shards: 12,
    begin: (world) => {
      world.start("one", () => {}, SHARED);
      return world.start("two", () => {}, SHARED);
    },
    async incident(_world, recording, two) {
      two.storeAway = true;
      await recording.run(1);
      two.storeAway = false;
      await recording.run(5);
    },
    fired: ["KinesisLeasesLost"],
  },
  {
    title: "one of two applications is absent",
    begin: (world) => {
      world.start("audit", () => {}, { application: "audit" });
      return world.start("billing", () => {});
    },
    async incident(_world, recording, billing) {
      billing.stop();
      await recording.run(7);
    },
    fired: ["KinesisConsumerAbsent"],
  },
  {
    title: "the store is away for a quarter of an hour",
    async incident(_world, recording, worker) {
      worker.storeAway = true;
      await recording.run(15);
    },
    fired: [
      "KinesisCallsFail",
      "KinesisCheckpointsStuck",
      "KinesisConsumerBehind",
      "KinesisDeliveryPaused",
      "KinesisStoreAway",
    ],
  },
  {
    title: "none for a store that is away for ten seconds",
    async incident(_world, recording, worker) {
      worker.storeAway = true;
      await recording.clock.advance(10_000);
      worker.storeAway = false;
      await recording.run(20);
    },
    fired: [],
  },
  {
    title: "handlers need longer than a hand-over",
    begin: (world, isIll) =>
      world.start("one", () => (isIll() ? world.sleep(120_000) : undefined), SHARED),
    async incident(world, recording) {
      await recording.run(1);
      world.start("two", () => {}, SHARED);
      await recording.run(2);
    },
    fired: ["KinesisHandoffsForced"],
  },
  {
    title: "handlers are stuck, and some of their shards taken over",
    begin: (world, isIll) =>
      world.start("one", () => (isIll() ? new Promise(() => {}) : undefined), SHARED),
    async incident(world, recording) {
      await recording.run(1);
      world.start("two", () => {}, SHARED);
      await recording.run(12);
    },
    fired: ["KinesisConsumerBehind", "KinesisHandlerAbandoned", "KinesisHandoffsForced"],
  },
  {
    title: "one handler is stuck",
    begin: (world, isIll) =>
      world.start("one", ({ shardId }) =>
        isIll() && shardId === "shardId-000000000001" ? new Promise(() => {}) : undefined,
      ),
    incident: (_world, recording) => recording.run(11),
    fired: ["KinesisConsumerBehind"],
  },
  {
    title: "a consumer continues after thirteen hours",
    shards: 1,
    begin: (world, isIll) => world.start("one", () => (isIll() ? world.sleep(1000) : undefined)),
    async incident(world, recording, worker) {
      worker.stop();
      await recording.clock.advance(13 * 3_600_000);
      world.start("one", () => world.sleep(1000));
      await recording.run(2);
    },
    fired: ["KinesisRecordsNearRetention"],
  },
  {
    title: "retention took what was not read",
    shards: 1,
    async incident(world, recording, worker) {
      worker.stop();
      await recording.clock.advance(30 * 3_600_000);
      world.start("one", () => {});
      await recording.run(2);
    },
    fired: ["KinesisRecordsTrimmed"],
  },
  {
    title: "a scan fails at once",
    async incident(world, recording, worker) {
      worker.stop();
      world.start("two", () => fail());
      await recording.run(2);
    },
    fired: ["KinesisScanFailed"],
  },
  {
    title: "each process that is started again fails after a while",
    async incident(world, recording, worker) {
      worker.stop();
      for (let n = 0; n < 6; n += 1) {
        const began = recording.now;
        const failing = world.start("one", () => {
          if (recording.now - began > 200_000) fail();
        });
        await recording.run(5);
        failing.stop();
      }
    },
    fired: ["KinesisScanFailed"],
  },
  {
    title: "a customer's records are skipped",
    begin: (world, isIll) =>
      world.start("one", (record) => failAt("customer-7", record, isIll), {
        delivery: { onFailure: "skip" },
      }),
    incident: (_world, recording) => recording.run(4),
    fired: ["KinesisRecordsGivenUp"],
  },
  {
    title: "the dead-letter queue is away",
    shards: 1,
    begin: (world, isIll) => {
      const letters = new MemoryDeadLetterQueue();
      const queue: DeadLetterQueue = {
        send: async (sent, options) => (isIll() ? fail() : letters.send(sent, options)),
        close: () => letters.close(),
      };
      return world.start("one", (record) => failAt("customer-7", record, isIll), {
        delivery: { concurrency: 10, onFailure: queue },
      });
    },
    incident: (_world, recording) => recording.run(13),
    fired: [
      "KinesisConsumerBehind",
      "KinesisDeadLettersAway",
      "KinesisKeysHeldUp",
      "KinesisRecordsGivenUp",
    ],
  },
  {
    title: "GetRecords is not answered",
    async incident(world, recording) {
      const { faults } = world.kinesis;
      faults.fail({ operation: "GetRecords", times: Infinity, error: "InternalFailure" });
      await recording.run(4);
    },
    fired: ["KinesisShardUnread"],
  },
  {
    title: "another reader takes half of the quota",
    async incident(world, recording) {
      let calls = 0;
      world.kinesis.faults.fail({
        operation: "GetRecords",
        times: Infinity,
        where: () => (calls += 1) % 2 === 0,
        error: "ProvisionedThroughputExceededException",
      });
      await recording.run(30);
    },
    fired: ["KinesisThrottled"],
  },
  {
    title: "shards are more than workers may hold",
    begin: (world) => {
      world.start("one", () => {}, { maxShards: 2 });
      return world.start("two", () => {}, { maxShards: 2 });
    },
    async incident(_world, recording, two) {
      two.stop();
      await recording.run(4);
    },
    fired: ["KinesisShardUnassigned"],
  },
  {
    title: "two processes read under one application",
    async incident(world, recording) {
      world.start("two", () => world.sleep(500));
      await recording.run(30);
    },
    // Together they read more often than the quota has it.
    fired: ["KinesisSecondReader", "KinesisThrottled"],
  },
  {
    title: "the counter throws",
    begin: (world, isIll) => {
      class Failing extends PrometheusCounter {
        override record: PrometheusCounter["record"] = (...figure) =>
          isIll() ? fail() : super.record(...figure);
      }
      return world.start("one", () => {}, { counterOf: (registry) => new Failing({ registry }) });
    },
    incident: (_world, recording) => recording.run(15),
    fired: ["KinesisMetricsDropped"],
  },
];

function failAt(customer: string, { partitionKey }: ConsumerRecord, isIll: () => boolean): void {
  if (isIll() && partitionKey === customer) fail();
}

function fail(): never {
  throw new Error("no such customer");
}

for (const story of STORIES)
  test(`alerts by what counters report: ${story.title}`, async ({ skip }) => {
    const { shards = 4, begin = (world) => world.start("one", () => {}), incident, fired } = story;
    const recording = new Recording(new RegExp(`^(${[...asked].join("|")})$`));
    const world = new World(recording, shards);
    onTestFinished(() => world.end());
    let isIll = false;
    const worker = begin(world, () => isIll);
    await recording.run(6);
    const well = { at: recording.now, fired: [] };
    isIll = true;
    await incident(world, recording, worker);
    const directory = mkdtempSync(join(tmpdir(), "kc-alerts-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const path = join(directory, "recorded.test.yml");
    writeFileSync(path, recording.test(rules, [well, { at: recording.now, fired }]));
    await promtool("test", "rules", path).catch((error: unknown) => {
      if (!(error instanceof NoPrometheusError)) throw error;
      console.warn(`\n  ${error.message}\n`, error.cause);
      return skip(error.message);
    });
  });

test("every alert is tried by what counters report, but the one on an event loop that is held up", () => {
  const names = [...readFileSync(rules, "utf8").matchAll(/alert: (\w+)/g)].map(([, name]) => name!);
  const tried = new Set(STORIES.flatMap(({ fired }) => fired));
  expect(names.filter((name) => !tried.has(name))).toEqual(["KinesisHandlerBlocks"]);
});
