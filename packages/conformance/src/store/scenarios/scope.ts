import { KcError, type StoreScope } from "@kc/core";
import { expect } from "vitest";
import { rejection } from "../../expectations.ts";
import { applicationRow, at, shard, SHARD } from "../fixtures.ts";
import type { StoreHarness, StoreScenario } from "../harness.ts";

/** Fails unless every scope has its own row, checkpoint and reset, and none sees another's. */
async function expectApart(harness: StoreHarness, scopes: readonly StoreScope[]): Promise<void> {
  const [writer, reader] = [await harness.open(), await harness.open()];
  for (const [index, scope] of scopes.entries()) {
    const row = applicationRow(scope, { startedAt: new Date(1000 + index) });
    const opened = await writer.openApplication(scope, row);
    expect(opened, `the row of ${JSON.stringify(scope)}`).toStrictEqual({
      outcome: "created",
      row,
    });
    const checkpoint = at(100 - index);
    const answer = await writer.setCheckpoint(scope, { shardId: SHARD, checkpoint });
    expect(answer, `the checkpoint of ${JSON.stringify(scope)}`).toStrictEqual({
      outcome: "written",
      stored: checkpoint,
    });
  }
  for (const [index, scope] of scopes.entries()) {
    const found = await reader.getCheckpoints(scope);
    expect(found, JSON.stringify(scope)).toStrictEqual(new Map([[SHARD, at(100 - index)]]));
  }
}

/**
 * The alternative: if two scopes share a namespace, the first one owns it. The second gets the
 * first one's row, and all its other calls are refused, also on a handle that never opened it.
 */
async function expectRefused(harness: StoreHarness, [first, second]: ScopePair): Promise<void> {
  const writer = await harness.open();
  const row = applicationRow(first);
  await writer.openApplication(first, row);
  await writer.setCheckpoint(first, { shardId: SHARD, checkpoint: at(1) });
  const opened = await writer.openApplication(second, applicationRow(second));
  expect(opened, "the row that stands").toStrictEqual({ outcome: "existing", row });
  const write = { shardId: SHARD, checkpoint: at(2) };
  for (const store of [writer, await harness.open()]) {
    const calls = {
      getCheckpoint: () => store.getCheckpoint(second, SHARD),
      getCheckpoints: () => store.getCheckpoints(second),
      setCheckpoint: () => store.setCheckpoint(second, write),
      setCheckpoints: () => store.setCheckpoints(second, [write]),
      resetCheckpoint: () => store.resetCheckpoint(second, SHARD, at(0), { force: true }),
    };
    for (const [name, call] of Object.entries(calls)) {
      const error = await rejection(call(), `${name} in another's namespace`);
      const code = KcError.is(error) ? error.code : undefined;
      expect(code, `${name}: the code of ${String(error)}`).toBe("NAMESPACE_CONFLICT");
    }
  }
  const found = await (await harness.open()).getCheckpoints(first);
  expect(found, "the first's checkpoints").toStrictEqual(new Map([[SHARD, at(1)]]));
}

/** Whether two scopes share a namespace: if so, the row of the other scope is returned. */
async function meet(harness: StoreHarness, [first, second]: ScopePair): Promise<boolean> {
  const store = await harness.open();
  await store.openApplication(first, applicationRow(first));
  const { row } = await store.openApplication(second, applicationRow(second));
  return row.application !== second.application;
}

/** Writes the first checkpoint of a shard that no other scope has. */
async function writeFirst(harness: StoreHarness, scope: StoreScope): Promise<void> {
  const store = await harness.open();
  const shardId = `${SHARD}-${Buffer.from(scope.application, "utf16le").toString("hex")}`;
  await store.setCheckpoint(scope, { shardId, checkpoint: at(1) });
}

type ScopePair = readonly [StoreScope, StoreScope];

const JOINED: readonly ScopePair[] = ["-", ":", "/", "#", "|", ".", "_", " ", ",", '","'].map(
  (joint) => [
    { application: `a${joint}b`, streamName: "c" },
    { application: "a", streamName: `b${joint}c` },
  ],
);

const applications = (...names: readonly string[]): readonly StoreScope[] =>
  names.map((application) => ({ application, streamName: "orders" }));

export const scopeScenarios: readonly StoreScenario[] = [
  {
    key: "scope.applications",
    title: "two applications on one stream are apart",
    run: ({ harness }) => expectApart(harness, applications("billing", "audit")),
  },
  {
    key: "scope.streams",
    title: "two streams of one application are apart",
    run: ({ harness }) =>
      expectApart(harness, [
        { application: "billing", streamName: "orders" },
        { application: "billing", streamName: "refunds" },
      ]),
  },
  {
    key: "scope.joined-names",
    title: "`a-b` on `c` is not `a` on `b-c`: apart, or refused where the store joins names",
    async run({ harness, make }) {
      if (harness.joinsNames !== true) return expectApart(harness, JOINED.flat());
      const apart: StoreScope[] = [];
      for (const pair of JOINED) {
        if (await meet(await make(), pair)) await expectRefused(await make(), pair);
        else apart.push(...pair);
      }
      expect(apart.length, "joinsNames, but none met").toBeLessThan(JOINED.flat().length);
      await expectApart(harness, apart);
    },
  },
  {
    key: "scope.odd-names",
    title: "names of Unicode, quotes, colons, percent signs, backslashes, braces are kept",
    run: ({ harness }) =>
      expectApart(
        harness,
        applications(
          "Zahlungsläufe",
          "注文",
          "処理",
          "🦊",
          "🐙",
          `o'brien"; DROP TABLE x; --`,
          "a:b::c",
          "100%_done%s",
          "back\\slash\\",
          "{tag}:{other}",
          "$1 ${x} `y`",
          "a*b?[c]",
          "tab\tand\nline",
        ),
      ),
  },
  {
    key: "scope.half-pairs",
    title: "names that differ in half of a surrogate pair are apart, or refused",
    async run({ harness }) {
      const names = applications("a\ud800", "a\udfff", "a\ufffd");
      const answers = await Promise.allSettled(names.map((scope) => writeFirst(harness, scope)));
      for (const answer of answers) {
        if (answer.status === "rejected") {
          const code = KcError.is(answer.reason) ? answer.reason.code : undefined;
          expect(code, `the code of ${String(answer.reason)}`).toBe("CONFIG_INVALID");
        }
      }
      const kept = names.filter((_, index) => answers[index]!.status === "fulfilled");
      const reader = await harness.open();
      for (const scope of kept) {
        const { size } = await reader.getCheckpoints(scope);
        expect(size, `the checkpoints of ${JSON.stringify(scope)}`).toBe(1);
      }
    },
  },
  {
    key: "scope.case",
    title: "names that differ in case, or in an accent, are different",
    run: ({ harness }) =>
      expectApart(harness, applications("orders", "Orders", "ORDERS", "resume", "résumé")),
  },
  {
    key: "scope.spaces",
    title: "spaces at a name's ends count",
    run: ({ harness }) => expectApart(harness, applications("a", "a ", " a", "a  ")),
  },
  {
    key: "scope.long-names",
    title: "names of 255 characters that differ in the last one are different",
    run: ({ harness }) =>
      expectApart(harness, applications(`${"a".repeat(254)}x`, `${"a".repeat(254)}y`)),
  },
  {
    key: "scope.shard-names",
    title: "shard ids are kept as they are, and prefixes of each other are apart",
    async run({ harness }) {
      const store = await harness.open();
      const scope = { application: "billing", streamName: "orders" };
      const ids = [shard(1), `${shard(1)}0`, "shardid-1", "shardId-1", "s%", "s_", "s'x", "s:{y}"];
      const writes = ids.map((shardId, index) => ({ shardId, checkpoint: at(index) }));
      await store.setCheckpoints(scope, writes);
      for (const { shardId, checkpoint } of writes) {
        expect(await store.getCheckpoint(scope, shardId), shardId).toStrictEqual(checkpoint);
      }
      expect([...(await store.getCheckpoints(scope)).keys()].toSorted()).toStrictEqual(
        ids.toSorted(),
      );
    },
  },
];
