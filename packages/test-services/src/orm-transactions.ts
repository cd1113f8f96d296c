/**
 * Tests of `checkpointIn` in a library's transaction, which each SQL store runs with its own
 * libraries.
 */
import { describe, expect, onTestFinished, test } from "vitest";
import { openPrisma, type PrismaTransaction } from "./prisma.ts";

/** Characters that libraries may misinterpret as parameters. */
export const ORM_SCOPE = {
  application: "bil?ling",
  streamName: "or?d:ers $1 \\?",
} as const;
export const MISUSED = { code: "TRANSACTION_MISUSED", retryable: false } as const;
const UNAVAILABLE = { code: "STORE_UNAVAILABLE", retryable: true } as const;

/** The limit of a wait that must fail, in milliseconds. */
export const BRIEFLY = 50;
/** Prisma's own limits are a few seconds, which connecting may take on a busy machine. */
const PATIENTLY = { maxWait: 30_000, timeout: 30_000 };
/** Knex also logs the errors that it throws. */
export const QUIET = { warn: (): void => undefined };

interface Executor {
  query(text: string): Promise<readonly object[]>;
}

/** A library's transactions. */
export interface Orm<E extends Executor> {
  /** Inserts an effect, then calls `work`. */
  transaction(effect: string, work: (executor: E) => Promise<unknown>): Promise<unknown>;
  /** Returns the library's error for a statement that fails with this server code. */
  failWith(code: string): Promise<unknown>;
  /**
   * Begins a transaction, and fails immediately or after `BRIEFLY` if the pool has no free
   * connection.
   */
  beginBriefly(): Promise<unknown>;
  /** A connection without a transaction. */
  readonly outside: E;
}

/** A store on a database with a table of effects. */
export interface OrmWorld<E extends Executor, Write, Checkpoint> {
  readonly store: {
    checkpointIn(
      executor: E,
      scope: typeof ORM_SCOPE,
      write: Write,
    ): Promise<{ readonly outcome: string }>;
    getCheckpoint(scope: typeof ORM_SCOPE, shardId: string): Promise<Checkpoint | undefined>;
    isTransient(error: unknown): boolean;
  };
  readonly orm: Orm<E>;
  readonly effects: () => Promise<readonly string[]>;
  /** Lets the server end the transaction's connection. */
  readonly endConnection: (executor: E) => Promise<void>;
}

export interface OrmSuite<E extends Executor, Write, Checkpoint> {
  readonly open: () => Promise<OrmWorld<E, Write, Checkpoint>>;
  readonly shardId: string;
  readonly at: (n: number) => Checkpoint;
  readonly upTo: (
    n: number,
    from?: number,
    fence?: { readonly owner: string; readonly epoch: number },
  ) => Write;
  /** Server codes, and whether a transaction that failed with one should be run again. */
  readonly failures: readonly (readonly [code: string, isTransient: boolean])[];
}

export function ormTransactionTests<E extends Executor, Write, Checkpoint>(
  library: string,
  { open, shardId, at, upTo, failures }: OrmSuite<E, Write, Checkpoint>,
): void {
  describe(`a transaction of ${library}`, () => {
    test("has the handler's writes and the checkpoint, or neither", async () => {
      const { store, orm, effects } = await open();
      const answers: unknown[] = [];
      const checkpoint = async (executor: E, write: Write): Promise<void> => {
        const answer = await store.checkpointIn(executor, ORM_SCOPE, write);
        answers.push(answer);
        if (answer.outcome !== "written") throw new Error("roll back");
      };
      await orm.transaction("first", (executor) => checkpoint(executor, upTo(3)));
      expect(await store.getCheckpoint(ORM_SCOPE, shardId)).toEqual(at(3));
      await failure(orm.transaction("twice", (executor) => checkpoint(executor, upTo(5))));
      const failing = orm.transaction("lost", async (executor) => {
        await checkpoint(executor, upTo(9, 4));
        throw new Error("after the checkpoint");
      });
      expect(await failure(failing)).toMatchObject({ message: "after the checkpoint" });
      expect(answers).toEqual([
        { outcome: "written" },
        { outcome: "already-done", stored: at(3) },
        { outcome: "written" },
      ]);
      expect(await store.getCheckpoint(ORM_SCOPE, shardId)).toEqual(at(3));
      expect(await effects()).toEqual(["first"]);
    });

    test("is not written to when its lease is lost", async () => {
      const { store, orm, effects } = await open();
      let answer: unknown;
      const lost = orm.transaction("lost", async (executor) => {
        const write = upTo(3, 1, { owner: "another", epoch: 7 });
        answer = await store.checkpointIn(executor, ORM_SCOPE, write);
        throw new Error("roll back");
      });
      expect(await failure(lost)).toMatchObject({ message: "roll back" });
      expect(answer).toEqual({ outcome: "lease-lost" });
      expect(await effects()).toEqual([]);
    });

    test("whose connection ends before the checkpoint is to be run again", async () => {
      const { store, orm, effects, endConnection } = await open();
      let answer: unknown;
      const ending = orm.transaction("one", async (executor) => {
        await endConnection(executor);
        answer = await failure(store.checkpointIn(executor, ORM_SCOPE, upTo(3)));
        throw answer;
      });
      await failure(ending);
      expect(answer).toMatchObject(UNAVAILABLE);
      expect(await effects()).toEqual([]);
    });

    test("that gets no connection of its library's pool is to be run again", async () => {
      const { store, orm } = await open();
      let answer: unknown;
      await orm.transaction("one", () =>
        orm.transaction("two", async () => void (answer = await failure(orm.beginBriefly()))),
      );
      expect(answer).toBeInstanceOf(Error);
      expect(store.isTransient(answer), String(answer)).toBe(true);
    });

    test("is distinguished from a statement alone", async () => {
      const { store, orm } = await open();
      const answer = await failure(store.checkpointIn(orm.outside, ORM_SCOPE, upTo(3)));
      expect(answer).toMatchObject(MISUSED);
      expect(await store.getCheckpoint(ORM_SCOPE, shardId)).toBeUndefined();
    });

    test.each(failures)("that failed with %s: run again %s", async (code, isTransient) => {
      const { store, orm } = await open();
      expect(store.isTransient(await failure(orm.failWith(code)))).toBe(isTransient);
    });
  });
}

/** Prisma's transactions. `raise` returns SQL that fails with a server code. */
export function prismaOrm<E extends Executor>(
  provider: "postgresql" | "mysql",
  adapter: object,
  fromPrisma: (tx: PrismaTransaction) => E,
  raise: (code: string) => string,
): Orm<E> {
  const db = openPrisma(provider, adapter);
  onTestFinished(() => db.$disconnect());
  return {
    transaction: (name, work) =>
      db.$transaction(async (tx) => {
        await tx.$executeRaw`INSERT INTO effects VALUES (${name})`;
        await work(fromPrisma(tx));
      }, PATIENTLY),
    failWith: (code) => db.$queryRawUnsafe(raise(code)),
    beginBriefly: () => db.$transaction(() => Promise.resolve(), { maxWait: BRIEFLY }),
    outside: fromPrisma(db),
  };
}

/** Returns the error with which a call rejected. */
export function failure(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    (answer) => ({ answer }),
    (error: unknown) => error,
  );
}
