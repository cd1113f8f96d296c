import type { ApplicationRow, StartPosition, Store } from "@kc/core";
import { expect } from "vitest";
import { applicationRow, SCOPE } from "../fixtures.ts";
import type { StoreHarness, StoreScenario } from "../harness.ts";

/** Writes with one handle and reads with another, so that the result comes from the database. */
async function expectRoundTrip(harness: StoreHarness, row: ApplicationRow): Promise<void> {
  const [writer, reader] = [await harness.open(), await harness.open()];
  const created = await writer.openApplication(row, row);
  expect(created, "the first opener").toStrictEqual({ outcome: "created", row });
  const other = applicationRow(row, { streamARN: "arn:other", start: "TRIM_HORIZON" });
  const existing = await reader.openApplication(row, other);
  expect(existing, "the second opener").toStrictEqual({ outcome: "existing", row });
}

export const applicationScenarios: readonly StoreScenario[] = [
  {
    key: "application.put-if-absent",
    title: "the first row stays, whatever later openers bring",
    async run({ harness }) {
      const store = await harness.open();
      const first = applicationRow(SCOPE, { startedAt: new Date(1000) });
      await store.openApplication(SCOPE, first);
      for (const startedAt of [new Date(2000), new Date(0)]) {
        const answer = await store.openApplication(SCOPE, applicationRow(SCOPE, { startedAt }));
        expect(answer).toStrictEqual({ outcome: "existing", row: first });
      }
    },
  },
  {
    key: "application.one-creator",
    title: "of 40 openers at once, on four handles, one creates, and all get its row",
    async run({ harness }) {
      const stores: Store[] = [];
      while (stores.length < 4) stores.push(await harness.open());
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, index) => {
          const row = applicationRow(SCOPE, { startedAt: new Date(1_800_000_000_000 + index) });
          return stores[index % stores.length]!.openApplication(SCOPE, row);
        }),
      );
      const created = answers.filter(({ outcome }) => outcome === "created");
      expect(created.length, "openers that were told 'created'").toBe(1);
      for (const { row } of answers) expect(row).toStrictEqual(created[0]?.row);
    },
  },
  {
    key: "application.start",
    title: "all three forms of a start come back as they were written",
    async run({ harness, make }) {
      const starts: readonly StartPosition[] = [
        "LATEST",
        "TRIM_HORIZON",
        { timestamp: new Date("2026-03-04T05:06:07.089Z") },
      ];
      let current = harness;
      for (const start of starts) {
        await expectRoundTrip(current, applicationRow(SCOPE, { start }));
        current = await make();
      }
    },
  },
  {
    key: "application.dates",
    title: "dates come back to the millisecond, whatever the time zone",
    async run({ harness, make }) {
      let current = harness;
      for (const time of ["2026-10-25T01:30:00.001Z", "1999-12-31T23:59:59.999Z"]) {
        const date = new Date(time);
        const row = applicationRow(SCOPE, {
          startedAt: date,
          streamCreationTimestamp: new Date(date.getTime() + 1),
          start: { timestamp: new Date(date.getTime() + 2) },
        });
        await expectRoundTrip(current, row);
        current = await make();
      }
    },
  },
  {
    key: "application.no-creation-time",
    title: "a row without streamCreationTimestamp comes back without it, not with null",
    async run({ harness }) {
      const { streamCreationTimestamp: _, ...row } = applicationRow();
      await expectRoundTrip(harness, row);
    },
  },
  {
    key: "application.migrated",
    title: "`migrated` comes back as the boolean it was",
    async run({ harness, make }) {
      await expectRoundTrip(harness, applicationRow(SCOPE, { migrated: true }));
      await expectRoundTrip(await make(), applicationRow(SCOPE, { migrated: false }));
    },
  },
];
