import {
  MemoryStore,
  StoreError,
  type BulkCheckpointResult,
  type CheckpointWrite,
  type LeaseStore,
  type MemoryStoreData,
} from "@kc/core";
import type { FakeClock } from "@kc/emulator";
import type { Process } from "./process.ts";
import type { Random } from "./random.ts";

/** How the way to the store is, for one process or for all. */
export interface Weather {
  /** Nobody reaches the store. */
  away: boolean;
  /** The part of the calls that something happens to. */
  trouble: number;
}

export interface StoreLinkOptions {
  readonly data: MemoryStoreData;
  readonly clock: FakeClock;
  readonly process: Process;
  readonly random: Random;
  readonly weather: Weather;
  readonly ownWeather: { readonly away: boolean };
  /** Told of each call at the moment at which it takes effect. */
  readonly onEffect: (operation: string, parameters: readonly unknown[], answer: unknown) => void;
  /** A heartbeat or a join has come back, which was sent at that time of the world's. */
  readonly onAcknowledged: (sentAt: number) => void;
  /** Without push, changes are seen by polling. */
  readonly push: boolean;
}

const OUTAGE = (): StoreError =>
  new StoreError("STORE_UNAVAILABLE", "the simulated network", { retryable: true });

/**
 * One process's way to the store: calls are slow, fail before or after they took effect, take effect
 * after their caller gave up, or twice.
 */
export function storeLink(options: StoreLinkOptions): LeaseStore {
  const { data, clock, process, random, weather, ownWeather, onEffect, push } = options;
  const store = new MemoryStore({ data });
  const wait = (ms: number): Promise<void> =>
    new Promise((resolve) => void clock.setTimer(resolve, ms));
  const call = async (operation: string, parameters: readonly unknown[]): Promise<unknown> => {
    // The caller's signal ends its waiting, not what is on its way.
    const sent = parameters.map((one) =>
      typeof one === "object" && one !== null && "signal" in one ? {} : one,
    );
    const effect = async (): Promise<unknown> => {
      const method = store[operation as keyof MemoryStore] as (...p: unknown[]) => Promise<unknown>;
      const answer = await method.apply(store, [...sent]);
      onEffect(operation, sent, answer);
      return answer;
    };
    await wait(random.between(1, 20));
    if (weather.away || ownWeather.away) {
      await wait(random.between(1, 400));
      throw OUTAGE();
    }
    if (!random.chance(weather.trouble)) return effect();
    switch (random.between(1, 5)) {
      case 1:
        throw OUTAGE();
      case 2:
        await effect();
        throw OUTAGE();
      case 3: // So late that the caller has given up.
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
      if (typeof member !== "function") return member;
      if (name === "watch" && !push) return undefined;
      if (name === "watch") {
        return (scope: never, onHint: () => void, signal: AbortSignal) =>
          target.watch(scope, () => process.pass(onHint), signal);
      }
      return async (...parameters: unknown[]) => {
        const sentAt = clock.monotonic();
        const answer = await process.through(call(String(name), parameters));
        if (isAcknowledged(answer)) options.onAcknowledged(sentAt);
        return answer;
      };
    },
  });
}

function isAcknowledged(answer: unknown): boolean {
  const outcome = (answer as { readonly outcome?: string } | undefined)?.outcome;
  return outcome === "alive" || outcome === "joined";
}

/** The writes of a bulk call that took effect. */
export function writtenOf(
  writes: readonly CheckpointWrite[],
  answers: readonly BulkCheckpointResult[],
): readonly CheckpointWrite[] {
  return writes.filter((_, index) => answers[index]?.outcome === "written");
}
