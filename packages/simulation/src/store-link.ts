import {
  MemoryStore,
  StoreError,
  type BulkCheckpointResult,
  type CallOptions,
  type CheckpointWrite,
  type LeaseStore,
  type MemoryStoreData,
} from "@kc/core";
import type { FakeClock } from "@kc/emulator";
import type { Process } from "./process.ts";
import type { Random } from "./random.ts";

/** The state of the links to the store and to Kinesis, for all processes. */
export interface Weather {
  /** The store is unreachable. */
  away: boolean;
  /** Kinesis is unreachable. */
  kinesisAway: boolean;
  /** The dead-letter queue is unreachable. */
  lettersAway: boolean;
  /** Handlers no longer fail at random. */
  faultsAreOver: boolean;
  /** The fraction of calls with a fault. */
  faultRate: number;
  /** The fraction of calls that take nearly as long as their callers' time-outs. */
  slow: number;
}

/** Events on one process's link to the store. */
export interface StoreEvents {
  /** A call takes effect at this moment. */
  onEffect(operation: string, parameters: readonly unknown[], answer: unknown): void;
  /** A heartbeat or a join was answered; `sentAt` is when it was sent, by the global clock. */
  onAcknowledged(sentAt: number): void;
  /** An answer has arrived, and its caller still waits for it. */
  onAnswer(operation: string, answer: unknown): void;
  /** A call is made. */
  onCall(operation: string, parameters: readonly unknown[]): void;
}

export interface StoreLinkOptions {
  readonly data: MemoryStoreData;
  readonly clock: FakeClock;
  readonly process: Process;
  readonly random: Random;
  readonly weather: Weather;
  /** @property lostAt when the last call was lost, by the global clock */
  readonly ownWeather: { readonly away: boolean; readonly refused: boolean; lostAt: number };
  readonly events: StoreEvents;
  /** Without push, changes are seen by polling. */
  readonly push: boolean;
  /** `undefined`: as much as the memory store; 0: none. */
  readonly maxAheadBytes: number | undefined;
}

/** The error of a claim that is refused permanently. */
export const REFUSED: StoreError = new StoreError("STORE_FAILED", "the simulated store's rights", {
  retryable: false,
});

/** A quarter of the lease, after which the group's calls time out. */
const SLOWEST_MS = 1250;

const OUTAGE = (): StoreError =>
  new StoreError("STORE_UNAVAILABLE", "the simulated network", { retryable: true });

/**
 * One process's link to the store: calls are slow, fail before or after they took effect, take
 * effect after their caller timed out, or take effect twice.
 */
export function storeLink(options: StoreLinkOptions): LeaseStore {
  const { data, clock, process, random, weather, ownWeather, events, push } = options;
  const { maxAheadBytes } = options;
  const store = new MemoryStore({ data });
  const wait = (ms: number): Promise<void> =>
    new Promise((resolve) => void clock.setTimer(resolve, ms));
  const call = async (operation: string, parameters: readonly unknown[]): Promise<unknown> => {
    // The caller's signal ends its waiting, not a call in flight.
    const sent = parameters.map((one) =>
      typeof one === "object" && one !== null && "signal" in one ? {} : one,
    );
    const effect = async (): Promise<unknown> => {
      const method = store[operation as keyof MemoryStore] as (...p: unknown[]) => Promise<unknown>;
      const answer = await method.apply(store, [...sent]);
      events.onEffect(operation, sent, answer);
      return answer;
    };
    await wait(random.between(1, 20));
    if (weather.away || ownWeather.away) {
      ownWeather.lostAt = clock.monotonic();
      await wait(random.between(1, 400));
      throw OUTAGE();
    }
    if (ownWeather.refused && operation === "acquireLeases") throw REFUSED;
    if (random.chance(weather.slow)) {
      // The result of a read is as old as the reply's latency: anything from fresh to the whole
      // delay.
      const there = random.between(0, SLOWEST_MS - 50);
      await wait(there);
      const answer = await effect();
      await wait(random.between(0, SLOWEST_MS - 50 - there));
      return answer;
    }
    if (!random.chance(weather.faultRate)) return effect();
    switch (random.between(1, 5)) {
      case 1:
        throw OUTAGE();
      case 2:
        await effect();
        throw OUTAGE();
      case 3: // So late that the caller has timed out.
        await wait(random.between(2000, 12_000));
        return effect();
      case 4: {
        const answer = await effect();
        void wait(random.between(1, 6000)).then(effect);
        return answer;
      }
      default:
        await wait(random.between(100, 2000));
        return effect();
    }
  };
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (name === "capabilities" && maxAheadBytes !== undefined) {
        return { ...target.capabilities, maxAheadBytes };
      }
      if (typeof member !== "function") return member;
      if (name === "watch" && !push) return undefined;
      if (name === "watch") {
        return (scope: never, onHint: () => void, signal: AbortSignal) =>
          target.watch(scope, () => process.pass(onHint), signal);
      }
      return async (...parameters: unknown[]) => {
        events.onCall(String(name), parameters);
        const sentAt = clock.monotonic();
        const answer = await process.through(call(String(name), parameters));
        if (isAcknowledged(answer)) events.onAcknowledged(sentAt);
        if (!isGivenUp(parameters.at(-1))) events.onAnswer(String(name), answer);
        return answer;
      };
    },
  });
}

function isAcknowledged(answer: unknown): boolean {
  const outcome = (answer as { readonly outcome?: string } | undefined)?.outcome;
  return outcome === "alive" || outcome === "joined";
}

function isGivenUp(options: unknown): boolean {
  return (options as CallOptions | undefined)?.signal?.aborted === true;
}

/** The writes of a bulk call that took effect. */
export function writtenOf(
  writes: readonly CheckpointWrite[],
  answers: readonly BulkCheckpointResult[],
): readonly CheckpointWrite[] {
  return writes.filter((_, index) => answers[index]?.outcome === "written");
}
