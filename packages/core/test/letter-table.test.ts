import { describe, expect, it } from "vitest";
import type { DeadLetter } from "../src/index.ts";
import {
  StatementsDeadLetterTable,
  type LetterLimits,
  type LetterRow,
} from "../src/delivery/letters/letter-table.ts";

function letterAt(index: number, own: Partial<DeadLetter> = {}): DeadLetter {
  return {
    id: String(index).padStart(32, "0"),
    streamName: "orders",
    application: "billing",
    shardId: "shardId-000000000000",
    sequenceNumber: String(index + 1),
    data: new TextEncoder().encode("an order"),
    approximateArrivalTimestamp: new Date("2026-11-28T09:00:00.001Z"),
    attempts: 3,
    firstFailedAt: new Date("2026-11-28T09:00:02.003Z"),
    reason: "attempts",
    error: { name: "Error", message: "no stock" },
    ...own,
  };
}

/** A table in memory, and the rows of each `put`. */
function openTable(limits: Partial<LetterLimits> = {}) {
  const puts: (readonly LetterRow[])[] = [];
  const rows = new Map<string, LetterRow>();
  const table = new StatementsDeadLetterTable({
    where: "a table",
    setup: async () => undefined,
    limits: async () => ({ most: 3, maxBytes: 4096, maxRowBytes: Infinity, ...limits }),
    put: async (put) => {
      puts.push(put);
      for (const row of put) rows.set(row.id, row);
    },
    page: async (application, after, limit) =>
      [...rows.values()]
        .filter((row) => row.id > after && row.application === (application ?? row.application))
        .toSorted((a, b) => (a.id < b.id ? -1 : 1))
        .slice(0, limit),
    get: async (id) => rows.get(id),
    remove: async (ids) => {
      for (const id of ids) rows.delete(id);
    },
  });
  const send = (letters: readonly DeadLetter[]): Promise<void> =>
    table.send(letters, { signal: new AbortController().signal });
  return { table, puts, send };
}

describe("a table of dead letters", () => {
  it("puts a letter once that comes twice in one call, as it came last", async () => {
    const { table, puts, send } = openTable();
    const last = letterAt(1, { attempts: 9 });
    await send([letterAt(1), letterAt(2), last]);
    expect(puts.flat().map(({ id }) => id)).toEqual([letterAt(1).id, letterAt(2).id]);
    expect(await table.get(last.id)).toStrictEqual(last);
  });

  it("puts no more rows at once than its limits, and none for no letters", async () => {
    const { puts, send } = openTable();
    await send([]);
    await send(Array.from({ length: 8 }, (_, index) => letterAt(index)));
    expect(puts.map(({ length }) => length)).toEqual([3, 3, 2]);
  });

  it("holds a letter whole up to its limit of bytes, and a pointer one byte above it", async () => {
    const open = openTable();
    await open.send([letterAt(1)]);
    const { id, application, letter, data } = open.puts[0]![0]!;
    const bytes = Buffer.byteLength(id + application + letter) + data!.length;
    const fitting = openTable({ maxRowBytes: bytes });
    await fitting.send([letterAt(1)]);
    expect(await fitting.table.get(letterAt(1).id)).toStrictEqual(letterAt(1));
    const small = openTable({ maxRowBytes: bytes - 1 });
    await small.send([letterAt(1)]);
    expect(await small.table.get(letterAt(1).id)).toStrictEqual({
      ...letterAt(1),
      data: undefined,
    });
  });

  it("has a next page only where there is another letter", async () => {
    const { table, send } = openTable();
    await send([letterAt(1), letterAt(2)]);
    expect(await table.list({ limit: 2 })).toStrictEqual({ letters: [letterAt(1), letterAt(2)] });
    expect(await table.list({ limit: 1 })).toStrictEqual({
      letters: [letterAt(1)],
      next: letterAt(1).id,
    });
  });

  it.each([{ limit: 0 }, { limit: 1001 }, { after: 7 }, { application: null }, { app: "x" }])(
    "refuses %o for list",
    async (options) => {
      await expect(openTable().table.list(options as never)).rejects.toMatchObject({
        code: "CONFIG_INVALID",
      });
    },
  );
});
