import { randomBytes } from "node:crypto";
import { setTimeout as after } from "node:timers/promises";
import { CreateStreamCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { Consumer, LeaseGroup, type LeaseStore } from "@kc/core";
import { FakeKinesis } from "@kc/emulator";

const streamName = "bench";
const HANGS_AFTER_MS = 60_000;

export interface TeamOptions {
  readonly shards: number;
  readonly leaseMs: number;
  /** Opens a separate handle for each worker. */
  readonly open: () => LeaseStore;
}

/** Workers of one application in this process, each a consumer with its own store. */
export class Team implements AsyncDisposable {
  readonly #options: TeamOptions;
  readonly #application = randomBytes(6).toString("hex");
  readonly #kinesis = new FakeKinesis({ quotas: false });
  readonly #members = new Map<string, Member>();
  readonly #seen = new Set<string>();
  readonly #producing = new AbortController();
  #producer: Promise<void> = Promise.resolve();
  repeats = 0;

  private constructor(options: TeamOptions) {
    this.#options = options;
  }

  static async of(options: TeamOptions): Promise<Team> {
    const team = new Team(options);
    await team.#kinesis.send(
      new CreateStreamCommand({ StreamName: streamName, ShardCount: options.shards }),
    );
    return team;
  }

  async join(workerId: string): Promise<Member> {
    const { leaseMs, open } = this.#options;
    const store = open();
    await store.setup?.();
    const member = new Member(store, new LeaseGroup({ workerId, leaseMs }));
    this.#members.set(workerId, member);
    const consumer = new Consumer({
      stream: streamName,
      application: this.#application,
      store: member.link,
      group: member.group,
      client: this.#kinesis,
      start: "TRIM_HORIZON",
      flushIntervalMs: 200,
    });
    member.scan = consumer.scan(
      ({ sequenceNumber }) => {
        if (this.#seen.has(sequenceNumber)) this.repeats += 1;
        this.#seen.add(sequenceNumber);
        member.handled += 1;
      },
      { signal: member.stop.signal },
    );
    return member;
  }

  heldBy(workerId: string): number {
    return this.#members.get(workerId)?.held ?? 0;
  }

  get held(): number {
    return [...this.#members.values()].reduce((sum, { held }) => sum + held, 0);
  }

  get calls(): number {
    return [...this.#members.values()].reduce((sum, { calls }) => sum + calls, 0);
  }

  /** Puts records for every shard every 20 ms. */
  produce(): void {
    const { signal } = this.#producing;
    this.#producer = (async () => {
      for (let n = 0; !signal.aborted; n += 1) {
        const Records = Array.from({ length: 50 }, (_, i) => ({
          PartitionKey: `key-${i}`,
          Data: Buffer.from(String(n)),
        }));
        await this.#kinesis.send(new PutRecordsCommand({ StreamName: streamName, Records }));
        await after(20);
      }
    })();
  }

  pause(ms: number): Promise<void> {
    return after(ms);
  }

  async until(isSo: () => boolean): Promise<void> {
    const deadline = performance.now() + HANGS_AFTER_MS;
    while (!isSo()) {
      if (performance.now() > deadline) throw new Error("the group does not come to rest");
      await after(2);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#producing.abort();
    await this.#producer;
    await Promise.all([...this.#members.values()].map((member) => member.leave()));
  }
}

/** One worker, with a link to the store that can be cut. */
class Member {
  readonly group: LeaseGroup;
  readonly link: LeaseStore;
  readonly stop = new AbortController();
  scan: Promise<void> = Promise.resolve();
  handled = 0;
  calls = 0;
  readonly #store: LeaseStore;
  #silent = false;

  constructor(store: LeaseStore, group: LeaseGroup) {
    this.#store = store;
    this.group = group;
    this.link = new Proxy(store, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== "function") return member;
        return (...parameters: unknown[]): unknown => {
          if (name !== "watch") this.calls += 1;
          return this.#silent ? new Promise(() => {}) : member.apply(target, parameters);
        };
      },
    });
  }

  get held(): number {
    return this.group.status().shards.filter(({ heldForMs }) => heldForMs !== undefined).length;
  }

  /** Simulates a kill -9: no further call reaches the store. */
  fallSilent(): void {
    this.#silent = true;
  }

  async leave(): Promise<void> {
    this.stop.abort();
    // A worker without a link to the store cannot stop normally.
    if (!this.#silent) await this.scan;
    else this.scan.catch(() => undefined);
    await this.#store[Symbol.asyncDispose]();
  }
}
