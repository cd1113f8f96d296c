import { ConfigError, type StoreScope } from "@kc/core";

/**
 * The keys of one application on one stream.
 *
 * A checkpoint has the Go library's key, `{app}:checkpoint:{stream}:{shard}`, where the braces are placeholders. Names of
 * streams and shards are percent-encoded, which leaves names that Kinesis allows as they are. So neither contains a
 * colon, a key parsed from its end names one shard of one stream of one application, and `a` is never confused with
 * `a:checkpoint:b`.
 */
export class ApplicationKeys {
  /** A hash: the application row, and the list of shards with checkpoints. */
  readonly application: string;
  /** A hash: the revision and the workers. Its name is also the channel of hints. */
  readonly group: string;
  /** A hash: the lineage of each shard that has a lease's row. */
  readonly lineages: string;
  readonly #base: string;

  /** @throws ConfigError for a name that cannot be part of a key */
  constructor(keyPrefix: string, { application, streamName }: StoreScope) {
    checkText("application", application);
    this.#base = `${keyPrefix}${application}:checkpoint:${encode("streamName", streamName)}`;
    if (this.#base.includes("}") && hashTag(this.#base) === undefined) {
      throw new ConfigError(
        "application",
        `${JSON.stringify(application)} has a closing brace that is no hash tag's: no second key ` +
          "can be in the slot of such a key. Use another name",
      );
    }
    this.application = companion(this.#base, "application");
    this.group = companion(this.#base, "group");
    this.lineages = companion(this.#base, "lineages");
  }

  /** Go's key with the sequence number, and our companion key with everything that Go does not store. */
  shard(shardId: string): readonly [checkpoint: string, companion: string] {
    const checkpoint = `${this.#base}:${encode("shardId", shardId)}`;
    return [checkpoint, companion(checkpoint, "shard")];
  }

  /** A key for the user in the slot of a shard. It never equals a key of ours. */
  userKey(shardId: string, name: string): string {
    const [checkpoint] = this.shard(shardId);
    return inSlotOf(checkpoint, `tx/${name}`);
  }

  /** A MATCH pattern for SCAN that matches all checkpoints of this application, and some other keys. */
  get pattern(): string {
    return `${this.#base.replaceAll(/[\\*?[\]]/g, String.raw`\$&`)}:*`;
  }

  /** The shard of a checkpoint's key; `undefined` for a key of another application. */
  shardIdOf(key: string): string | undefined {
    if (!key.startsWith(`${this.#base}:`)) return undefined;
    return decode(key.slice(this.#base.length + 1));
  }
}

/** The hash tag that determines a key's slot, by Redis's own rule; `undefined` if the whole key does. */
export function hashTag(key: string): string | undefined {
  return /^[^{]*\{([^}]+)\}/.exec(key)?.[1];
}

/** Another key in the same slot. Encoded names of shards contain no slash, so it is never a checkpoint's key. */
function companion(key: string, name: string): string {
  return inSlotOf(key, `kc/${name}`);
}

function inSlotOf(key: string, name: string): string {
  return hashTag(key) === undefined ? `{${key}}:${name}` : `${key}:${name}`;
}

/** Refuses unpaired surrogates: as UTF-8 they would all be the same character. */
function checkText(option: string, text: string): void {
  if (/\p{Surrogate}/u.test(text)) {
    throw new ConfigError(option, "contains an unpaired surrogate, which no key can store");
  }
}

function encode(option: string, name: string): string {
  checkText(option, name);
  return encodeURIComponent(name);
}

/** `undefined` for a text that `encode` does not write. */
function decode(encoded: string): string | undefined {
  try {
    const name = decodeURIComponent(encoded);
    return name !== "" && encodeURIComponent(name) === encoded ? name : undefined;
  } catch {
    return undefined;
  }
}
