import {
  LeaseGroup,
  MemoryStore,
  MemoryStoreData,
  ownerOf,
  StoreError,
  type ConsumerOptions,
  type Handler,
  type LeaseGroupOptions,
  type LeaseStore,
} from "../../src/index.ts";
import { STREAM, World, type Run } from "./world.ts";

export const SCOPE = { application: "billing", streamName: STREAM };

export const OUTAGE = new StoreError("STORE_UNAVAILABLE", "passing", { retryable: true });

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
  state: "whole" | "cut" | "hangs" | "lost" = "whole";
  /** Of these operations alone; undefined = of all. */
  only: readonly string[] | undefined;
  readonly calls: string[] = [];

  over(store: LeaseStore): LeaseStore {
    return new Proxy(store, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== "function") return member;
        if (name === "watch") return member.bind(target);
        return (...parameters: unknown[]) =>
          this.#call(String(name), () => member.apply(target, parameters) as Promise<unknown>);
      },
    });
  }

  async #call(name: string, call: () => Promise<unknown>): Promise<unknown> {
    this.calls.push(name);
    if (this.only !== undefined && !this.only.includes(name)) return call();
    switch (this.state) {
      case "whole":
        return call();
      case "cut":
        throw OUTAGE;
      case "hangs":
        return new Promise(() => {});
      case "lost":
        await call();
        throw OUTAGE;
    }
  }
}

/** A stream, and one database that every member shares. */
export class GroupWorld {
  readonly world: World;
  readonly data: MemoryStoreData = new MemoryStoreData();
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
  ): Promise<Member> {
    const { consumer, ...own } = options;
    const group = new LeaseGroup({ workerId, ...own });
    const link = new Link();
    const store: LeaseStore = new MemoryStore({ data: this.data });
    if (!this.#push) Object.assign(store, { watch: undefined });
    const member = new Member(group, link);
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
