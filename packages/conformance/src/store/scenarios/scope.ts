import type { StoreScope } from "@kc/core";
import { expect } from "vitest";
import { applicationRow, at, shard, SHARD } from "../fixtures.ts";
import type { StoreHarness, StoreScenario } from "../harness.ts";

/** Every scope gets its own row, checkpoint and reset; none sees another's. */
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
    title: "`a-b` on `c` is not `a` on `b-c`, whatever a store joins names with",
    run: ({ harness }) =>
      expectApart(
        harness,
        ["-", ":", "/", "#", "|", ".", "_", " ", ",", '","'].flatMap((joint) => [
          { application: `a${joint}b`, streamName: "c" },
          { application: "a", streamName: `b${joint}c` },
        ]),
      ),
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
