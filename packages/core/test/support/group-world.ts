import { sleep } from "../../src/clock.ts";
import {
  LeaseGroup,
  MemoryStore,
  MemoryStoreData,
  ownerOf,
  StoreError,
  type Clock,
  type ConsumerOptions,
  type Handler,
  type LeaseGroupOptions,
  type LeaseStore,
} from "../../src/index.ts";
import { STREAM, World, type Run } from "./world.ts";

export const SCOPE = { application: "billing", streamName: STREAM };

export const OUTAGE = new StoreError("STORE_UNAVAILABLE", "transient", { retryable: true });

/** One process of the application: its group, its scan, its own connection to the store. */
export class Member {
  readonly group: LeaseGroup;
  readonly link: Link;
  run!: Run;

  constructor(group: LeaseGroup, link: Link) {
    this.group = group;
    this.link = link;
  }

  /** The shards that it reads, by the last two digits. */
  get reads(): string[] {
    const { workerId } = this.group;
    return this.group
      .status()
      .shards.filter(({ owner, heldForMs }) => owner === workerId && heldForMs !== undefined)
      .map(({ shardId }) => shardId.slice(-2));
  }
}

/** What lies between one process and the store. */
export class Link {
  /** `cut`: calls fail. `hangs`: they never answer. `lost`: they take effect and their replies fail. */
  state: "whole" | "cut" | "hangs" | "lost" | "fails" = "whole";
  /** What calls are refused with that `fail`: for good. */
  failure: Error = new Error("for good");
  /** Of these operations alone; undefined = of all. */
  only: readonly string[] | undefined;
  /** How long a call is on its way to the store, and its reply on the way back, in milliseconds. */
  delays: ((name: string) => { readonly there: number; readonly back: number }) | undefined;
  readonly calls: string[] = [];
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  over(store: LeaseStore): LeaseStore {
    return new Proxy(store, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== "function") return member;
        if (name === "watch") return member.bind(target);
        return (...parameters: unknown[]) => {
          // What is on its way arrives, whether its caller has given up or not.
          const sent = this.delays
            ? parameters.filter((given) => !isCallOptions(given))
            : parameters;
          return this.#call(String(name), () => member.apply(target, sent) as Promise<unknown>);
        };
      },
    });
  }

  async #call(name: string, call: () => Promise<unknown>): Promise<unknown> {
    this.calls.push(name);
    if (this.delays) return this.#slowly(call, this.delays(name));
    if (this.only !== undefined && !this.only.includes(name)) return call();
    switch (this.state) {
      case "whole":
        return call();
      case "cut":
        throw OUTAGE;
      case "fails":
        throw this.failure;
      case "hangs":
        return new Promise(() => {});
      case "lost":
        await call();
        throw OUTAGE;
    }
  }

  async #slowly(
    call: () => Promise<unknown>,
    { there, back }: { readonly there: number; readonly back: number },
  ): Promise<unknown> {
    await sleep(this.#clock, there);
    const answer = await call();
    await sleep(this.#clock, back);
    return answer;
  }
}

function isCallOptions(given: unknown): boolean {
  return typeof given === "object" && given !== null && "signal" in given;
}

/** A stream, and one database that every member shares. */
export class GroupWorld {
  readonly world: World;
  readonly data: MemoryStoreData = new MemoryStoreData();
  readonly members: Member[] = [];
  /** Told when an eviction takes effect. */
  onEvict: (workerId: string) => void = () => {};
  /** With push, or by polling alone. */
  readonly #push: boolean;

  private constructor(world: World, push: boolean) {
    this.world = world;
    this.#push = push;
  }

  static async of(options: {
    shards: number;
    push?: boolean;
    omitChildShards?: boolean;
  }): Promise<GroupWorld> {
    const { push = true, ...rest } = options;
    return new GroupWorld(await World.of(rest), push);
  }

  async join(
    workerId: string,
    options: LeaseGroupOptions & {
      readonly consumer?: Omit<Partial<ConsumerOptions>, "store" | "group">;
    } = {},
    handler?: Handler,
    prepare: (link: Link) => void = () => {},
  ): Promise<Member> {
    const { consumer, ...own } = options;
    const group = new LeaseGroup({ workerId, ...own });
    const link = new Link(this.world.clock);
    prepare(link);
    const store: LeaseStore = new MemoryStore({ data: this.data });
    if (!this.#push) Object.assign(store, { watch: undefined });
    const evictWorker = store.evictWorker.bind(store);
    store.evictWorker = async (scope, worker, call) => {
      const outcome = await evictWorker(scope, worker, call);
      if (outcome === "evicted") this.onEvict(worker.workerId);
      return outcome;
    };
    const member = new Member(group, link);
    this.members.push(member);
    member.run = await this.world.start(
      { store: link.over(store), group, start: "TRIM_HORIZON", ...consumer },
      handler,
    );
    return member;
  }

  /** The worker that each shard's row names and that is alive, by the shard's last two digits. */
  get owners(): Record<string, string> {
    const { shards, workers } = this.data.application(SCOPE);
    const alive = new Map([...workers.values()].map((row) => [ownerOf(row), row.workerId]));
    return Object.fromEntries(
      [...shards].map(([id, { owner }]) => [id.slice(-2), alive.get(owner ?? "") ?? "-"]),
    );
  }

  /** How many shards each living worker holds, in the order of their names. */
  get shares(): Record<string, number> {
    const shares: Record<string, number> = {};
    for (const owner of Object.values(this.owners)) shares[owner] = (shares[owner] ?? 0) + 1;
    return shares;
  }

  /** Puts `count` numbered records, spread over keys `key-0` … `key-9`. */
  async put(from: number, count: number): Promise<void> {
    for (let n = from; n < from + count; n += 1) await this.world.put(`key-${n % 10}`, `${n}`);
  }
}

/** The numbers that were handled, in order of size. */
export function handled(...members: readonly Member[]): number[] {
  return members.flatMap(({ run }) => run.texts.map(Number)).toSorted((x, y) => x - y);
}

export function range(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}
