import { ConfigError, type StoreScope } from "@kc/core";

/**
 * The keys of one application on one stream.
 *
 * A checkpoint is Go's own key, `{app}:checkpoint:{stream}:{shard}`, where the braces are
 * placeholders. Names of streams and shards are percent-encoded: those that Kinesis allows stay as
 * they are. So neither has a colon, a key read from its end names one shard of one stream of one
 * application, and `a` is never confused with `a:checkpoint:b`.
 */
export class ApplicationKeys {
  /** A hash: the application row, and the shards that have ever had a checkpoint. */
  readonly application: string;
  /** A hash: the revision and the workers; and the channel on which changes are hinted at. */
  readonly group: string;
  /** A hash: the lineage of each shard that has a lease's row. */
  readonly lineages: string;
  readonly #base: string;

  /** @throws ConfigError for a name that cannot be kept. */
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

  /** Go's key with the sequence number, and ours beside it with all that Go does not keep. */
  shard(shardId: string): readonly [checkpoint: string, companion: string] {
    const checkpoint = `${this.#base}:${encode("shardId", shardId)}`;
    return [checkpoint, companion(checkpoint, "shard")];
  }

  /** A key of the user's in the slot of a shard: no key of ours. */
  userKey(shardId: string, name: string): string {
    const [checkpoint] = this.shard(shardId);
    return inSlotOf(checkpoint, `tx/${name}`);
  }

  /** A SCAN's MATCH that finds all checkpoints of this application, and some other keys. */
  get pattern(): string {
    return `${this.#base.replaceAll(/[\\*?[\]]/g, String.raw`\$&`)}:*`;
  }

  /** Whose checkpoint a key is; undefined for a key of another application. */
  shardIdOf(key: string): string | undefined {
    if (!key.startsWith(`${this.#base}:`)) return undefined;
    return decode(key.slice(this.#base.length + 1));
  }
}

/** What a cluster takes the slot from, if not the whole key: Redis's own rule. */
export function hashTag(key: string): string | undefined {
  return /^[^{]*\{([^}]+)\}/.exec(key)?.[1];
}

/** Another key in the same slot. No name of a shard has a slash, so it is the key of no checkpoint. */
function companion(key: string, name: string): string {
  return inSlotOf(key, `kc/${name}`);
}

function inSlotOf(key: string, name: string): string {
  return hashTag(key) === undefined ? `{${key}}:${name}` : `${key}:${name}`;
}

/** Names become UTF-8, in which all halves of characters would be the same. */
function checkText(option: string, text: string): void {
  if (/\p{Surrogate}/u.test(text)) {
    throw new ConfigError(option, "has half a character in it, which no key can keep");
  }
}

function encode(option: string, name: string): string {
  checkText(option, name);
  return encodeURIComponent(name);
}

/** Undefined for what `encode` never wrote. */
function decode(encoded: string): string | undefined {
  try {
    const name = decodeURIComponent(encoded);
    return name !== "" && encodeURIComponent(name) === encoded ? name : undefined;
  } catch {
    return undefined;
  }
}
