import { createReadStream } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { Shard, StoredRecord } from "./model/shard.ts";
import type { StreamState } from "./model/stream.ts";
import type { EarlierStreams, Streams } from "./model/streams.ts";

/** The first line of a snapshot: what this version writes, and the only one that it reads. */
const FORMAT = "kc-emulator snapshot 2";

/** So many characters are written at once, or one line. */
const CHUNK_LENGTH = 2 ** 20;

/** The first line. */
interface Head {
  readonly format: string;
  /** The service's time, in milliseconds since the epoch. */
  readonly savedAt: number;
  readonly earlier: readonly EarlierStreams[];
}

/** After the first line, one for each stream, and after it one for each of its records: a file may be large. */
type Line =
  | { readonly stream: StreamState }
  | { readonly shard: string; readonly record: Omit<StoredRecord, "data">; readonly data: string };

/**
 * Writes the streams with their records into a file. States that pass (CREATING, UPDATING, DELETING)
 * are over then. The file that was there is replaced once all is written. Rejects with Node's error.
 */
export async function saveSnapshot(streams: Streams, path: string): Promise<void> {
  const partial = partialOf(path);
  try {
    const file = await open(partial, "w");
    try {
      for (const chunk of chunksOf(linesOf(streams))) await file.write(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

/** Rejects with Node's error where `saveSnapshot` could not write: the end would be too late for that. */
export async function checkSnapshotPlace(path: string): Promise<void> {
  const partial = partialOf(path);
  await (await open(partial, "w")).close();
  await rm(partial);
}

/** What is written until all is written. */
function partialOf(path: string): string {
  return `${path}.partial`;
}

function* linesOf(streams: Streams): Generator<Head | Line> {
  streams.endTransitions();
  const now = streams.now();
  yield { format: FORMAT, savedAt: now, earlier: streams.earlier };
  for (const stream of streams.list()) {
    yield { stream: stream.state(now) };
    for (const shard of stream.shards(now)) {
      for (const { data, ...record } of shard.records) {
        yield { shard: shard.id, record, data: Buffer.from(data).toString("base64") };
      }
    }
  }
}

function* chunksOf(lines: Iterable<object>): Generator<string> {
  let chunk = "";
  for (const line of lines) {
    chunk += `${JSON.stringify(line)}\n`;
    if (chunk.length < CHUNK_LENGTH) continue;
    yield chunk;
    chunk = "";
  }
  yield chunk;
}

/**
 * Puts back what `saveSnapshot` has written; a file that is not there is an empty one. The service's
 * time goes on from the time of writing if the clock is behind it. Streams that exist already and are
 * in the file are replaced. Rejects with an Error that names the line, or with Node's error.
 */
export async function loadSnapshot(streams: Streams, path: string): Promise<void> {
  let number = 0;
  let shards: ReadonlyMap<string, Shard> = new Map();
  const input = createReadStream(path);
  try {
    for await (const text of createInterface({ input, crlfDelay: Infinity })) {
      number += 1;
      if (number === 1) {
        const { savedAt, earlier } = readHead(text);
        streams.continueFrom(savedAt);
        streams.restoreEarlier(earlier);
        continue;
      }
      const line = JSON.parse(text) as Line;
      if ("stream" in line) {
        const stream = streams.restore(line.stream);
        shards = new Map(stream.shards(streams.now()).map((shard) => [shard.id, shard]));
      } else shards.get(line.shard)?.restoreRecord(recordOf(line));
    }
  } catch (error) {
    if (isMissing(error)) return;
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${path}, line ${number}: ${reason}`, { cause: error });
  } finally {
    input.destroy();
  }
}

/** Throws an Error that names the member that is missing or of another type. */
function readHead(text: string): Head {
  const { format, savedAt, earlier } = (JSON.parse(text) ?? {}) as Partial<Head>;
  if (format !== FORMAT) {
    throw new Error(`it begins with '${format ?? text.slice(0, 100)}', not '${FORMAT}'`);
  }
  if (!Number.isSafeInteger(savedAt)) {
    throw new Error(`savedAt: a time in milliseconds, not ${JSON.stringify(savedAt)}`);
  }
  if (!Array.isArray(earlier)) {
    throw new Error(`earlier: a list of streams that are gone, not ${JSON.stringify(earlier)}`);
  }
  return { format, savedAt: savedAt!, earlier };
}

function recordOf(line: Extract<Line, { shard: string }>): StoredRecord {
  return { ...line.record, data: Buffer.from(line.data, "base64") };
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
