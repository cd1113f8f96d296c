import { FakeClock } from "@kc/emulator";
import { seeded } from "@kc-internal/test-services";
import { expect, test } from "vitest";
import { KcError } from "../src/index.ts";
import { StreamClient } from "../src/kinesis/stream-client.ts";
import { Telemetry } from "../src/telemetry/telemetry.ts";
import { mutatedReply } from "./support/fuzzed-replies.ts";
import { MemoryLogger } from "./support/memory-logger.ts";
import { expectedListing, isSoundPage, isSoundSummary } from "./support/reply-oracle.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 3000);
const STREAM = "orders";

type Members = Readonly<Record<string, unknown>>;

function shard(n: number, parents: readonly number[], isClosed = false): Members {
  const [ParentShardId, AdjacentParentShardId] = parents.map((one) => `shardId-${one}`);
  const first = `4959033827149025660855969253836157109592157598913658889${n}`;
  return {
    ShardId: `shardId-${n}`,
    ...(ParentShardId ? { ParentShardId } : {}),
    ...(AdjacentParentShardId ? { AdjacentParentShardId } : {}),
    HashKeyRange: { StartingHashKey: "0", EndingHashKey: "3402823669209384634633746074317682114" },
    SequenceNumberRange: {
      StartingSequenceNumber: first,
      ...(isClosed ? { EndingSequenceNumber: `${first}9` } : {}),
    },
  };
}

const PAGES: Readonly<Record<string, Members>> = {
  "": { Shards: [shard(0, [], true), shard(1, [], true), shard(2, [0])], NextToken: "next" },
  next: { Shards: [shard(3, [0]), shard(4, [1, 3])] },
};
const SUMMARY: Members = {
  StreamDescriptionSummary: {
    StreamName: STREAM,
    StreamARN: `arn:aws:kinesis:us-east-1:000000000000:stream/${STREAM}`,
    StreamStatus: "ACTIVE",
    RetentionPeriodHours: 24,
    StreamCreationTimestamp: new Date(1.7e12),
    OpenShardCount: 2,
  },
};

/** A stream's calls to an endpoint that answers by this. */
function callsTo(answer: (token: string) => Members) {
  const clock = new FakeClock();
  const logger = new MemoryLogger();
  const telemetry = new Telemetry({ logger }, { stream: STREAM, application: "billing" });
  const send = async ({ input }: { readonly input: { readonly NextToken?: string } }) =>
    answer(input.NextToken ?? "");
  const options = { id: { StreamName: STREAM }, client: { send }, wire: "auto" } as const;
  const stream = new StreamClient({ ...options, clock, random: () => 0.5, telemetry });
  return { stream, clock, logger };
}

/** What a call came to within two minutes: an error that nobody is to see fails the test. */
async function outcome<T>(clock: FakeClock, call: Promise<T>): Promise<T | KcError> {
  const settled = call.catch((error: unknown) => {
    if (KcError.is(error)) return error;
    throw error;
  });
  settled.catch(() => undefined);
  await clock.advance(120_000);
  return settled;
}

const never = (): AbortSignal => new AbortController().signal;

/** Fails with the replies that led there. */
async function repeat(runs: number, once: (replies: Members[]) => Promise<void>): Promise<void> {
  for (let run = 0; run < runs; run += 1) {
    const replies: Members[] = [];
    try {
      await once(replies);
    } catch (cause) {
      const shown = JSON.stringify(replies).slice(0, 4000);
      throw new Error(`FUZZ_SEED=${SEED}, run ${run}: ${shown}`, { cause });
    }
  }
}

test("a mutated page of ListShards is refused and asked for again, or its shards are what it says", async () => {
  const random = seeded(SEED);
  let refused = 0;
  await repeat(RUNS, async (replies) => {
    const asked = new Set<string>();
    const { stream, clock, logger } = callsTo((token) => {
      const sound = PAGES[token] ?? PAGES["next"]!;
      const reply = asked.has(token) ? sound : (mutatedReply(sound, random) as Members);
      asked.add(token);
      replies.push(reply);
      return reply;
    });
    const listing = await outcome(clock, stream.listShards(never()));
    const expected = expectedListing(replies);
    if (listing instanceof Error) {
      expect(expected).toBeUndefined();
      expect(listing.code).toBe("KINESIS_FAILED");
    } else {
      const shown = listing.map(({ shardId, parentShardIds, closed, hashKeyRange: range }) => ({
        shardId,
        parents: parentShardIds,
        closed,
        keys: range && [range.startingHashKey, range.endingHashKey],
      }));
      expect(shown).toEqual(expected);
    }
    // A line for each page at most, however often it is asked for.
    expect(logger.find("warn", /./).length).toBeLessThanOrEqual(asked.size);
    if (!replies.every(isSoundPage)) refused += 1;
  });
  expect(Math.min(refused, RUNS - refused)).toBeGreaterThan(RUNS / 10);
});

test("a mutated reply of DescribeStreamSummary is refused and asked for again, or read as it is", async () => {
  const random = seeded(SEED);
  let refused = 0;
  await repeat(RUNS, async (replies) => {
    const { stream, clock } = callsTo(() => {
      const reply = replies.length > 0 ? SUMMARY : (mutatedReply(SUMMARY, random) as Members);
      replies.push(reply);
      return reply;
    });
    const found = await outcome(clock, stream.describe(never()));
    const sound = replies.find(isSoundSummary)!;
    const { StreamARN, StreamCreationTimestamp } = sound["StreamDescriptionSummary"] as Members;
    expect(replies.indexOf(sound)).toBe(replies.length - 1);
    expect(found).toEqual({
      streamARN: StreamARN ?? "",
      creationTimestamp: StreamCreationTimestamp ?? undefined,
    });
    refused += replies.length - 1;
  });
  expect(Math.min(refused, RUNS - refused)).toBeGreaterThan(RUNS / 10);
});

test.each([
  ["ListShards", PAGES["next"]!, isSoundPage],
  ["DescribeStreamSummary", SUMMARY, isSoundSummary],
] as const)(
  "an endpoint whose replies of %s stay malformed is reported once, and ends in an error without their text",
  async (operation, reply, isSound) => {
    const random = seeded(SEED);
    await repeat(RUNS / 50, async (replies) => {
      let malformed: Members;
      do malformed = mutatedReply(reply, random) as Members;
      while (isSound(malformed));
      replies.push(malformed);
      const { stream, clock, logger } = callsTo(() => malformed);
      const call: Promise<unknown> =
        operation === "ListShards" ? stream.listShards(never()) : stream.describe(never());
      const error = await outcome(clock, call);

      expect(error).toMatchObject({ code: "KINESIS_FAILED" });
      const { message } = error as KcError;
      expect(message).toContain(operation);
      // Printable, and of our own words: nothing of a reply is quoted.
      expect(message).toMatch(/^[ -~]{1,400}$/);
      expect(logger.find("warn", /keeps failing/)).toHaveLength(1);
    });
  },
);
