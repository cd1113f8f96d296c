import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type DeleteObjectsCommandOutput,
  type GetObjectCommandOutput,
  type ListObjectsV2CommandOutput,
} from "@aws-sdk/client-s3";
import {
  DeadLetterError,
  decodeDeadLetter,
  encodeDeadLetter,
  type DeadLetter,
  type DeadLetterListOptions,
  type DeadLetterPage,
  type ReadableDeadLetterQueue,
} from "@kc/core";
import { checkListOptions, LetterCalls, relayed } from "@kc/core/adapter";
import { FAILURES } from "./failures.ts";
import { folderOf, idOfKey, keyOf } from "./keys.ts";
import { checkOptions, type CheckedOptions, type S3DeadLetterQueueOptions } from "./options.ts";
import { inParallel } from "./parallel.ts";

/** The maximum number of keys that one request lists or deletes. */
const MAX_KEYS = 1000;
const MAX_REMEMBERED = 10_000;

/**
 * Dead letters in S3: one object for each letter, encoded by `encodeDeadLetter`. An object holds the largest record, so no
 * letter is a pointer. `list` returns an application's letters of a stream in the order of the records' arrival. `get` and
 * `remove` know the keys of letters that this queue has listed recently; for other letters they list all keys with the
 * prefix.
 */
export class S3DeadLetterQueue implements ReadableDeadLetterQueue {
  readonly #options: CheckedOptions;
  readonly #calls: LetterCalls;
  /** The keys of listed letters, by id: a listed letter is usually read or removed next. */
  readonly #listed = new Map<string, string>();
  #own: S3Client | undefined;

  /** @throws ConfigError if an option is wrong. */
  constructor(options: S3DeadLetterQueueOptions) {
    this.#options = checkOptions(options);
    const { bucket, prefix, timeoutMs } = this.#options;
    this.#calls = new LetterCalls({
      where: `S3 bucket ${bucket}`,
      timeoutMs,
      failures: FAILURES,
      denied:
        `the credentials are wrong or lack a right: s3:PutObject on ${bucket}/${prefix}*; to read ` +
        "letters back s3:ListBucket, s3:GetObject and s3:DeleteObject too",
    });
  }

  async send(
    letters: readonly DeadLetter[],
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    this.#calls.checkOpen();
    const { bucket: Bucket, prefix, put } = this.#options;
    await relayed({ signal }, (own) =>
      inParallel(letters, (letter) =>
        this.#send(
          new PutObjectCommand({
            ...put,
            Bucket,
            Key: keyOf(prefix, letter),
            Body: encodeDeadLetter(letter),
            ContentType: "application/json",
          }),
          own.signal,
        ),
      ),
    );
  }

  async list(options: DeadLetterListOptions = {}): Promise<DeadLetterPage> {
    this.#calls.checkOpen();
    const { application, limit, after } = checkListOptions(options);
    const { prefix } = this.#options;
    const folder = application === undefined ? prefix : folderOf(prefix, application);
    const page = await this.#keys(folder, limit, after);
    for (const key of page.keys) this.#remember(key);
    const letters = await inParallel(page.keys.filter(idOfKey), (key) => this.#read(key));
    return {
      letters: letters.filter((letter) => letter !== undefined),
      ...(page.next !== undefined && { next: page.next }),
    };
  }

  async get(id: string): Promise<DeadLetter | undefined> {
    this.#calls.checkOpen();
    const [key] = await this.#keysOf([id]);
    return key === undefined ? undefined : this.#read(key);
  }

  async remove(ids: readonly string[]): Promise<void> {
    this.#calls.checkOpen();
    const keys = await this.#keysOf(ids);
    for (let from = 0; from < keys.length; from += MAX_KEYS) {
      await this.#delete(keys.slice(from, from + MAX_KEYS));
    }
  }

  /** Idempotent. Calls in flight reject with DEAD_LETTERS_CLOSED. */
  async close(): Promise<void> {
    this.#calls.close();
    this.#own?.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The keys of the existing letters, and possibly of some that no longer exist. */
  async #keysOf(ids: readonly string[]): Promise<readonly string[]> {
    const [known, wanted]: [string[], Set<string>] = [[], new Set()];
    for (const id of ids) {
      const key = this.#listed.get(id);
      if (key === undefined) wanted.add(id);
      else known.push(key);
    }
    let after: string | undefined;
    while (wanted.size > 0) {
      const page = await this.#keys(this.#options.prefix, MAX_KEYS, after);
      for (const key of page.keys) {
        if (wanted.delete(idOfKey(key) ?? "")) known.push(key);
      }
      after = page.next;
      if (after === undefined) break;
    }
    return known;
  }

  async #keys(
    folder: string,
    limit: number,
    after: string | undefined,
  ): Promise<{ readonly keys: readonly string[]; readonly next: string | undefined }> {
    const { Contents = [], IsTruncated } = await this.#send<ListObjectsV2CommandOutput>(
      new ListObjectsV2Command({
        Bucket: this.#options.bucket,
        Prefix: folder,
        MaxKeys: limit,
        ...(after !== undefined && { StartAfter: after }),
      }),
    );
    const keys = Contents.map(({ Key = "" }) => Key);
    return { keys, next: IsTruncated === true ? keys.at(-1) : undefined };
  }

  /** Reads a letter; `undefined` if it no longer exists. */
  async #read(key: string): Promise<DeadLetter | undefined> {
    const command = new GetObjectCommand({ Bucket: this.#options.bucket, Key: key });
    const text = await this.#calls.run(async (abortSignal) => {
      try {
        const { Body } = (await this.#client().send(command, {
          abortSignal,
        })) as GetObjectCommandOutput;
        return await Body?.transformToString();
      } catch (error) {
        if ((error as Error).name === "NoSuchKey") return undefined;
        throw error;
      }
    });
    try {
      return text === undefined ? undefined : decodeDeadLetter(text);
    } catch (error) {
      throw new DeadLetterError("DEAD_LETTERS_CORRUPT", `${key}: ${(error as Error).message}`);
    }
  }

  async #delete(keys: readonly string[]): Promise<void> {
    const { Errors = [] } = await this.#send<DeleteObjectsCommandOutput>(
      new DeleteObjectsCommand({
        Bucket: this.#options.bucket,
        Delete: { Objects: keys.map((Key) => ({ Key })), Quiet: true },
      }),
    );
    const [first] = Errors;
    if (first === undefined) return;
    throw this.#calls.failureOf(
      Object.assign(new Error(first.Message), { name: first.Code ?? "Error" }),
    );
  }

  #remember(key: string): void {
    const id = idOfKey(key);
    if (id === undefined) return;
    if (this.#listed.size >= MAX_REMEMBERED) this.#listed.clear();
    this.#listed.set(id, key);
  }

  #send<Output>(command: object, signal?: AbortSignal): Promise<Output> {
    return this.#calls.run<Output>(
      (abortSignal) => this.#client().send(command, { abortSignal }),
      signal,
    );
  }

  #client(): NonNullable<CheckedOptions["client"]> {
    return this.#options.client ?? (this.#own ??= new S3Client());
  }
}
