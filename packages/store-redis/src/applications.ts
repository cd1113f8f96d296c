import type { ApplicationRow, CallOptions, StoreScope } from "@kc/core";
import { checkClaim } from "@kc/core/adapter";
import * as lua from "./application-statements.ts";
import type { Calls } from "./calls.ts";
import { refuseEviction } from "./eviction-policy.ts";
import { regressed, type ApplicationMemory } from "./application-memory.ts";
import { textsOf } from "./replies.ts";
import { applicationOf, applicationText } from "./rows.ts";
import type { Script } from "./script.ts";
import { findShards, untilAborted } from "./search.ts";

/** An application's row, and its list of shards with checkpoints. */
export class Applications {
  readonly #calls: Calls;
  readonly #searchForGo: boolean;

  constructor(calls: Calls, searchForGo: boolean) {
    this.#calls = calls;
    this.#searchForGo = searchForGo;
  }

  async open(
    scope: StoreScope,
    row: ApplicationRow,
    options: CallOptions | undefined,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }> {
    const memory = this.#calls.memoryOf(scope);
    await refuseEviction(this.#calls.connection, options);
    const args = [applicationText(row)];
    const [outcome, text = ""] = await this.#run(lua.OPEN_APPLICATION, memory, args, options);
    const existing = applicationOf(text);
    const isOurs =
      existing.application === scope.application && existing.streamName === scope.streamName;
    if (isOurs) memory.row = text;
    return { outcome: outcome === "created" ? "created" : "existing", row: existing };
  }

  /**
   * Reads the row and the list. Returns whether any store has searched for the Go library's checkpoints.
   * @throws NamespaceConflictError if the row is another application's
   */
  async read(scope: StoreScope, options: CallOptions | undefined): Promise<boolean> {
    const memory = this.#calls.memoryOf(scope);
    const texts = await this.#run(lua.READ_APPLICATION, memory, [], options);
    const [, row = "", searched, ...shardIds] = texts;
    claim(scope, memory, row);
    for (const shardId of shardIds) memory.listed.add(shardId);
    return searched === "1";
  }

  /** Lists shards before they get a checkpoint: a crash in between leaves a surplus name, never a missing one. */
  async list(
    scope: StoreScope,
    shardIds: readonly string[],
    options: CallOptions | undefined,
  ): Promise<void> {
    const memory = this.#calls.memoryOf(scope);
    const unlisted = shardIds.filter((shardId) => !memory.listed.has(shardId));
    if (unlisted.length === 0) return;
    if (memory.row === "") await this.read(scope, options);
    await this.#run(lua.ADD_SHARDS, memory, ["", ...unlisted], options);
    for (const shardId of unlisted) memory.listed.add(shardId);
  }

  /**
   * Lists the shards that have a checkpoint of the Go library. A call joins a search in progress. The search continues
   * if its caller's signal aborts: in a large database it takes longer than a consumer waits for one call.
   */
  async searchForGo(memory: ApplicationMemory, { signal }: CallOptions = {}): Promise<void> {
    if (!this.#searchForGo) return;
    memory.searching ??= this.#search(memory).finally(() => (memory.searching = undefined));
    await untilAborted(memory.searching, signal);
  }

  /** Marks listed shards as being removed. @param name of this removal */
  async noteRemoval(
    memory: ApplicationMemory,
    name: string,
    shardIds: readonly string[],
    options: CallOptions | undefined,
  ): Promise<void> {
    await this.#run(lua.NOTE_REMOVALS, memory, [name, ...shardIds], options);
  }

  /** Unlists the shards that the removal `name` has removed, unless they were listed again since. */
  async unlist(
    memory: ApplicationMemory,
    name: string,
    shardIds: readonly string[],
    options: CallOptions | undefined,
  ): Promise<void> {
    if (shardIds.length === 0) return;
    await this.#run(lua.UNLIST_SHARDS, memory, [name, ...shardIds], options);
    for (const shardId of shardIds) memory.forget(shardId);
  }

  async #search(memory: ApplicationMemory): Promise<void> {
    const found = await findShards(this.#calls.connection, memory.keys);
    await this.#run(lua.ADD_SHARDS, memory, ["1", ...found], {});
    for (const shardId of found) memory.listed.add(shardId);
    memory.searched = true;
  }

  /** @throws StoreRegressedError if the row that this store has seen no longer exists */
  async #run(
    script: Script,
    memory: ApplicationMemory,
    args: readonly string[],
    options: CallOptions | undefined,
  ): Promise<readonly string[]> {
    const call = { keys: [memory.keys.application], args: [memory.row, ...args] };
    const [reply] = await this.#calls.connection.run(script, [call], options);
    const texts = textsOf(reply);
    if (texts[0] === "regressed") throw regressed("the application row no longer exists");
    return texts;
  }
}

/** Checks the application of the row: two stores with different prefixes can have the same keys. */
function claim(scope: StoreScope, memory: ApplicationMemory, text: string): void {
  if (text === "") return;
  const row = applicationOf(text);
  checkClaim(row, scope, "this place in Redis", "`keyPrefix`");
  memory.row = text;
}
