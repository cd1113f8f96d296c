import { createReadStream } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { Shard, StoredRecord } from "./model/shard.ts";
import type { StreamState } from "./model/stream.ts";
import type { EarlierStreams, Streams } from "./model/streams.ts";

/** The `format` of a snapshot: the only one that this version writes and reads. */
const FORMAT = "kc-emulator snapshot 2";

/** Lines are written in chunks of at least this many characters. */
const CHUNK_LENGTH = 2 ** 20;

/** The first line of a snapshot. */
interface Head {
  readonly format: string;
  /** The service's time, in milliseconds since the epoch. */
  readonly savedAt: number;
  readonly earlier: readonly EarlierStreams[];
}

/** Each further line is a stream, or a record of the stream above it. Lines allow large files. */
type Line =
  | { readonly stream: StreamState }
  | { readonly shard: string; readonly record: Omit<StoredRecord, "data">; readonly data: string };

/**
 * Writes the streams and their records to a file. Ends transitions (CREATING, UPDATING, DELETING) first. An existing
 * file is replaced when everything is written. Rejects with Node's error.
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

/** Rejects with Node's error if `saveSnapshot` could not write the file. Called at the start, to fail early. */
export async function checkSnapshotPlace(path: string): Promise<void> {
  const partial = partialOf(path);
  await (await open(partial, "w")).close();
  await rm(partial);
}

/** The file to write to before it replaces the snapshot. */
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
 * Restores what `saveSnapshot` has written; a missing file counts as empty. If the clock is behind the time of writing,
 * the service's time continues from there. Existing streams that are in the file are replaced. Rejects with an Error
 * that names the line, or with Node's error.
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

/** @throws Error that names a missing member, or one of a wrong type */
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
