/** One replacement in a built file. */
export interface Edit {
  /** `core/…` or `simulation/…`, under that package's `dist`. */
  readonly file: string;
  /** The text to replace, which must occur exactly once. */
  readonly find: string;
  readonly replace: string;
}

/**
 * Bugs that are patched into the built files as they are loaded, to verify that the simulation
 * finds them. Each is one that a leasing consumer has had or could have.
 */
export const PLANTED_BUGS: Readonly<Record<string, readonly Edit[]>> = {
  "no fence": [
    {
      file: "core/checkpoints/write-outcome.js",
      find: `if (!holds(fence, lease))
        return { outcome: "lease-lost" };
    return advanceOutcome(checkpoint, stored);`,
      replace: "return advanceOutcome(checkpoint, stored);",
    },
  ],
  "a fence that looks first and writes later": [
    {
      file: "simulation/store-link.js",
      find: "const answer = await method.apply(store, [...sent]);",
      replace: `const answer = await (operation !== "setCheckpoints" ? method.apply(store, [...sent]) : (async () => {
        const held = sent[1].map(({ shardId, fence }) => {
          const row = data.shard(sent[0], shardId);
          return row.owner === fence?.owner && row.epoch === fence?.epoch;
        });
        await wait(500);
        return sent[1].map(({ shardId, checkpoint }, index) => {
          if (!held[index]) return { outcome: "lease-lost" };
          data.shard(sent[0], shardId).checkpoint = checkpoint;
          return { outcome: "written", stored: checkpoint };
        });
      })());`,
    },
  ],
  "no epoch growth": [
    {
      file: "core/checkpoints/memory-leases.js",
      find: "shard.epoch += 1;",
      replace: "shard.epoch = 1;",
    },
  ],
  "child before parent": [
    {
      file: "core/groups/leases/leased-shard.js",
      find: "return shard.parents.every((parent) => shards.get(parent)?.ended ?? shard.listed);",
      replace: "return true;",
    },
  ],
  "flush after release": [
    {
      file: "core/groups/leases/lease-moves.js",
      find: "lease.handOver(drainTimeoutMs);",
      replace: 'lease.handOver(drainTimeoutMs); lease.settle({ kind: "released" }, 0);',
    },
  ],
  "a deadline by the wall clock alone": [
    {
      file: "core/clock.js",
      find: "return Math.max(this.#clock.monotonic() - this.#monotonic, this.#clock.now() - this.#wall);",
      replace: "return this.#clock.now() - this.#wall;",
    },
  ],
  "no deadline at all": [
    {
      file: "core/groups/leases/membership.js",
      find: "return this.#alive ? leaseMs - marginMs - this.#sinceSent.elapsed() : 0;",
      replace: "return Infinity;",
    },
  ],
  "an eviction too soon": [
    {
      file: "core/groups/leases/worker-watch.js",
      find: "return Math.max(since, this.#steadySince) + this.#leaseMs;",
      replace: "return Math.max(since, this.#steadySince) + this.#leaseMs / 4;",
    },
  ],
  "LATEST for children": [
    {
      file: "core/checkpoints/start-position.js",
      find: 'if (!presentAtStart || row.start === "TRIM_HORIZON"',
      replace:
        'if (afterParent && !checkpoint) return { ShardIteratorType: "LATEST" };\n    if (!presentAtStart || row.start === "TRIM_HORIZON"',
    },
  ],
  "checkpoint before completion": [
    {
      file: "core/delivery/one-by-one.js",
      find: "answer = call.begin(handler, record, 1);",
      replace:
        "progress.advance(sequenceNumber, records.endsStreamRecord ? undefined : subSequenceNumber, '', 1); answer = call.begin(handler, record, 1);",
    },
  ],
  "an iterator that is recreated from an older place": [
    {
      file: "core/reading/resume-point.js",
      find: "this.#continueAt(records.sequenceNumber(records.length - 1));",
      replace: "void 0;",
    },
  ],
  "two workers on one lease": [
    {
      file: "core/checkpoints/memory-leases.js",
      find: "if (shard.owner !== owner) {",
      replace: "if (this.#isFree(shard)) {",
    },
    {
      file: "core/groups/leases/round-plan.js",
      find: "holder(shard) === undefined || adoptable(shard)",
      replace: "true",
    },
  ],
  "a claim from a live worker": [
    {
      file: "core/checkpoints/memory-leases.js",
      find: "return ![...this.#application.workers.values()].some((row) => ownerOf(row) === owner);",
      replace: "return true;",
    },
    {
      file: "core/groups/leases/round-plan.js",
      find: "holder(shard) === undefined || adoptable(shard)",
      replace: "true",
    },
  ],
  "a forgotten release": [
    {
      file: "core/groups/leases/lease-moves.js",
      find: 'await this.#call("releaseLeases", (call) => calls.store.releaseLeases(scope, leases, call));',
      replace: "",
    },
    {
      file: "core/groups/leases/round-plan.js",
      find: ".filter((shard) => unknown(shard) && !adoptable(shard))",
      replace: ".filter(() => false)",
    },
  ],
  "a claim whose reply was lost is never reconciled": [
    {
      file: "core/groups/leases/round-plan.js",
      find: "owner === own && !inHand(shardId);",
      replace: "false;",
    },
  ],
  "an evicted worker that goes on": [
    {
      file: "core/groups/leases/membership.js",
      find: 'if (answer.outcome === "evicted")',
      replace: 'if (answer.outcome === "evicted") continue; if (false)',
    },
    {
      file: "core/groups/leases/round.js",
      find: "if (!this.#group.isListed)",
      replace: "if (false)",
    },
  ],
  "an announced child whose other parent is taken for gone": [
    {
      file: "core/groups/leases/leased-shard.js",
      find: "shards.get(parent)?.ended ?? shard.listed",
      replace: "shards.get(parent)?.ended ?? true",
    },
    {
      file: "core/groups/listing-history.js",
      find: "export const CONFIRM_MS = 5000;",
      replace: "export const CONFIRM_MS = 10000;",
    },
  ],
  "a parent that aged out blocks its children": [
    {
      file: "core/groups/leases/leased-shard.js",
      find: "shards.get(parent)?.ended ?? shard.listed",
      replace: "shards.get(parent)?.ended ?? false",
    },
  ],
  "a worker that stops and keeps its row": [
    {
      file: "core/groups/leases/lease-group.js",
      find: "await membership.leave(over);",
      replace: "",
    },
    {
      file: "core/groups/leases/round.js",
      find: "if (await this.#group.evictOverdue())",
      replace: "if (false)",
    },
  ],
  "a shard that ends keeps its memory": [
    {
      file: "core/delivery/tracker.js",
      find: "memory.taken();",
      replace: "memory.taken(); if (page.end !== undefined) memory.release = () => {};",
    },
    {
      file: "core/scan/shard-pages.js",
      find: "reader.close();\n                return this.#end",
      replace: "return this.#end",
    },
    {
      file: "core/scan/shard-run.js",
      find: "this.#reader?.close();",
      replace: "",
    },
  ],
  "a silence that is counted from the asking": [
    {
      file: "core/groups/leases/worker-watch.js",
      find: "this.#seen.set(owner, { worker, since: receivedAt });",
      replace: "this.#seen.set(owner, { worker, since: requestedAt });",
    },
    {
      file: "core/groups/leases/worker-watch.js",
      find: "this.#steadySince = steadySince;",
      replace: "this.#steadySince = steadySince; this.#requestedAt = receivedAt;",
    },
  ],
  "a clock that is looked at once in 16 records, awaited or not": [
    {
      file: "core/delivery/start-gate.js",
      find: "checkClock || this.#started >= this.#startsPerCheck",
      replace: "this.#started >= this.#startsPerCheck",
    },
  ],
  "a group that outlives its scan": [
    {
      file: "core/groups/leases/lease-group.js",
      find: "await membership.leave(over);",
      replace: "await membership.leave(new AbortController().signal);",
    },
  ],
  "a lease that is lost during its hand-off and is still handed off": [
    {
      file: "core/groups/leases/held-lease.js",
      find: "this.#lost.abort(",
      replace: "if (!this.#handOff.signal.aborted) this.#lost.abort(",
    },
  ],
  "a worker that leaves its shards although nobody else reaches Kinesis": [
    {
      file: "core/groups/leases/read-ability.js",
      find: "if (this.#wasAnswered)",
      replace: "if (this.#isCutOff)",
    },
  ],
  "a group that fails for good and stops beating": [
    {
      file: "core/groups/leases/coordinator.js",
      find: "this.#hasFailed = true;",
      replace: "this.#hasFailed = true; this.#over.abort(error);",
    },
  ],
  "records of a key side by side": [
    {
      file: "core/delivery/lane-of.js",
      find: "partitionKey || undefined",
      replace: "undefined",
    },
  ],
  "one more at once than allowed": [
    {
      file: "core/delivery/concurrent.js",
      find: "this.#calls.running < this.#concurrency",
      replace: "this.#calls.running <= this.#concurrency",
    },
  ],
  "several at once start after a stop": [
    {
      file: "core/delivery/pump.js",
      find: "return this.#isClosed;",
      replace: "return false;",
    },
    {
      file: "core/delivery/pump.js",
      find: "this.#isClosed || this.#isPumping || this.#isGated",
      replace: "this.#isPumping || this.#isGated",
    },
  ],
  "what is done beyond a checkpoint is delivered again": [
    {
      file: "core/delivery/tracker.js",
      find: "if (!this.#ahead.isResumed)",
      replace: "if (true)",
    },
  ],
  "a checkpoint says of a record in hand that it is done": [
    {
      file: "core/delivery/completed-ahead.js",
      find: "runs.add(sequenceNumber, sub, ends, done)",
      replace: "runs.add(sequenceNumber, sub, ends, true)",
    },
  ],
  "a key that is not held up by its failed record": [
    {
      file: "core/delivery/concurrent.js",
      find: "onHeld: (job) => this.#intake.detachLane(job)",
      replace: "onHeld: (job) => this.#intake.leave(job)",
    },
  ],
  "a letter that counts before it is acknowledged": [
    {
      file: "core/delivery/letters/dead-letter-sender.js",
      find: "await this.#try(",
      replace: "void (async () => {})(",
    },
  ],
  "one attempt too many": [
    {
      file: "core/delivery/failure-policy.js",
      find: "attempt >= retry.maxAttempts",
      replace: "attempt > retry.maxAttempts",
    },
  ],
  "an error that asks for no other attempt gets one": [
    {
      file: "core/delivery/failure-policy.js",
      find: "if (decided !== undefined)",
      replace: "if (false)",
    },
  ],
  "a delay that a handler asks for is not kept": [
    {
      file: "core/delivery/failure-policy.js",
      find: "delayOf(error) ?? retryDelayMs",
      replace: "retryDelayMs",
    },
  ],
  "a record that is skipped without a word": [
    {
      file: "core/delivery/failures.js",
      find: "telemetry.warn(`a record is skipped",
      replace: "telemetry.debug(`a record is skipped",
    },
  ],
  "another attempt while the one that timed out still runs": [
    {
      file: "core/delivery/handler-timeouts.js",
      find: "now + this.#graceMs",
      replace: "now",
    },
  ],
  "a record that is too old is tried all the same": [
    {
      file: "core/delivery/failures.js",
      find: "return this.#ageMs(record) > this.#policy.maxRecordAgeMs;",
      replace: "return false;",
    },
  ],
  "an answer that names one record is taken for the next one": [
    {
      file: "core/delivery/batches/batch-outcome.js",
      find: "failed.add(place)",
      replace: "failed.add(Math.min(place + 1, records.length - 1))",
    },
  ],
  "one record too many in a batch": [
    {
      file: "core/delivery/batches/batch-lanes.js",
      find: "this.#formed.length === this.#maxRecords",
      replace: "this.#formed.length > this.#maxRecords",
    },
  ],
  "a batch that is to be halved is given up": [
    {
      file: "core/delivery/batches/failed-batches.js",
      find: "bisect && records.length > 1",
      replace: "bisect && records.length > 2",
    },
  ],
  "a pause that is not heeded": [
    {
      file: "core/delivery/start-gate.js",
      find: "if (pauses.holds(shardId))",
      replace: "if (false)",
    },
  ],
  "a checkpoint inside an aggregate stands for the whole of it": [
    {
      file: "core/delivery/tracker.js",
      find: "this.#ends[last] === 1 ? undefined : this.#subSequenceNumbers[last]",
      replace: "undefined",
    },
  ],
  "what is left of an aggregate is dropped": [
    {
      file: "core/reading/record-cursor.js",
      find: "aggregate.sub <= subSequenceNumber",
      replace: "true",
    },
  ],
  "the user record at a checkpoint comes again": [
    {
      file: "core/reading/record-cursor.js",
      find: "aggregate.sub <= subSequenceNumber",
      replace: "aggregate.sub < subSequenceNumber",
    },
  ],
  "what is done of an aggregate beyond a checkpoint is delivered again": [
    {
      file: "core/checkpoints/ahead.js",
      find: "return done.some(",
      replace: "return false && done.some(",
    },
  ],
  "an aggregate that is done in part beyond a checkpoint is passed": [
    {
      file: "core/checkpoints/ahead.js",
      find: "return done.some(",
      replace: "return true || done.some(",
    },
  ],
  "user records of other shards are left out without a count": [
    {
      file: "core/kinesis/aggregates/shard-aggregates.js",
      find: 'telemetry.add("out_of_range_records"',
      replace: 'if (!leavesOut) telemetry.add("out_of_range_records"',
    },
  ],
  "a user record's hash key does not decide its shard": [
    {
      file: "core/kinesis/aggregates/aggregate.js",
      find: "hashKeys.isInRange(hashKey)",
      replace: "partitionKeys.isInRange(partitionKey)",
    },
  ],
  "user records are left out where keys decide nothing": [
    {
      file: "core/kinesis/distribution.js",
      find: 'this.#byKey = strategy === "USER_PARTITION_KEY";',
      replace: "this.#byKey = true;",
    },
  ],
  "an aggregate that is done in part is shown to others as done": [
    {
      file: "core/delivery/tracker.js",
      find: "if (this.#ends[slot] === 1)",
      replace: "if (true)",
    },
  ],
  "a claim forgets the last whole record": [
    {
      file: "core/checkpoints/shard-progress.js",
      find: "this.#whole = wholeOf(acknowledged);",
      replace: "",
    },
  ],
};

/**
 * The first of 1,000 stories that found each bug. The test begins there, because earlier stories
 * find nothing as long as stories do not change.
 */
export const FOUND_BY: Readonly<Record<string, number>> = {
  "no fence": 64,
  "a fence that looks first and writes later": 65,
  "child before parent": 9,
  "flush after release": 29,
  "a deadline by the wall clock alone": 32,
  "an iterator that is recreated from an older place": 19,
  "a claim whose reply was lost is never reconciled": 83,
  "an announced child whose other parent is taken for gone": 313,
  "a parent that aged out blocks its children": 67,
  "a silence that is counted from the asking": 523,
  "a lease that is lost during its hand-off and is still handed off": 65,
  "a worker that leaves its shards although nobody else reaches Kinesis": 16,
  "a group that fails for good and stops beating": 52,
  "a key that is not held up by its failed record": 27,
  "an error that asks for no other attempt gets one": 27,
  "a record that is skipped without a word": 8,
  "a delay that a handler asks for is not kept": 27,
  "an answer that names one record is taken for the next one": 143,
  "a batch that is to be halved is given up": 150,
  "one more at once than allowed": 18,
  "LATEST for children": 85,
  "several at once start after a stop": 27,
  "a group that outlives its scan": 49,
  "a checkpoint says of a record in hand that it is done": 14,
  "a claim from a live worker": 14,
  "checkpoint before completion": 4,
  "two workers on one lease": 3,
  "a forgotten release": 8,
  "what is done beyond a checkpoint is delivered again": 14,
  "a record that is too old is tried all the same": 8,
  "what is left of an aggregate is dropped": 23,
  "a checkpoint inside an aggregate stands for the whole of it": 7,
  "the user record at a checkpoint comes again": 23,
  "what is done of an aggregate beyond a checkpoint is delivered again": 183,
  "an aggregate that is done in part beyond a checkpoint is passed": 183,
  "user records of other shards are left out without a count": 5,
  "a user record's hash key does not decide its shard": 5,
  "user records are left out where keys decide nothing": 30,
  "an aggregate that is done in part is shown to others as done": 7,
  "a claim forgets the last whole record": 23,
};
