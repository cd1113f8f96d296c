import type {
  CallOptions,
  LeaseStore,
  StoreScope,
  WorkerIdentity,
  WorkerMembership,
  WorkerRow,
} from "@kc/core";
import type { Calls } from "./calls.ts";
import * as lua from "./lease-statements.ts";
import { pairsOf } from "./replies.ts";

/** The workers of a group; each call is one script. `LeaseStore` documents each method. */
export class Workers {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  async join(
    scope: StoreScope,
    { workerId, incarnation, weight, maxShards }: WorkerMembership,
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["joinWorker"]> {
    const args = [workerId, incarnation, String(weight), String(maxShards ?? "")];
    const memory = this.#calls.memoryOf(scope);
    const [outcome, detail = ""] = await this.#calls.group(memory, lua.JOIN, args, options);
    return outcome === "joined"
      ? { outcome, revision: Number(detail) }
      : { outcome: "duplicate", incarnation: detail };
  }

  async heartbeat(
    scope: StoreScope,
    { workerId, incarnation }: WorkerIdentity,
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["heartbeat"]> {
    const memory = this.#calls.memoryOf(scope);
    if (memory.hasPendingRevision) await this.#calls.raiseRevision(memory, "1", options);
    const args = [workerId, incarnation];
    const [outcome, counter, revision] = await this.#calls.group(
      memory,
      lua.HEARTBEAT,
      args,
      options,
    );
    if (outcome !== "alive") return { outcome: "evicted" };
    return { outcome, counter: Number(counter), revision: Number(revision) };
  }

  async list(
    scope: StoreScope,
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["listWorkers"]> {
    const memory = this.#calls.memoryOf(scope);
    const fields = pairsOf(await this.#calls.group(memory, lua.READ_GROUP, [], options));
    const workers = [...fields.keys()]
      .filter((field) => field.startsWith("i:"))
      .map((field): WorkerRow => {
        const workerId = field.slice(2);
        const maxShards = fields.get(`m:${workerId}`);
        return {
          workerId,
          incarnation: fields.get(field)!,
          counter: Number(fields.get(`c:${workerId}`)),
          weight: Number(fields.get(`w:${workerId}`)),
          maxShards: maxShards ? Number(maxShards) : undefined,
        };
      });
    return { revision: Number(fields.get("revision") ?? 0), workers };
  }

  async evict(
    scope: StoreScope,
    { workerId, incarnation, counter }: WorkerIdentity & { readonly counter: number },
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["evictWorker"]> {
    const memory = this.#calls.memoryOf(scope);
    const args = [workerId, incarnation, String(counter)];
    const [outcome] = await this.#calls.group(memory, lua.EVICT, args, options);
    return outcome === "evicted" || outcome === "moved" ? outcome : "gone";
  }

  async leave(
    scope: StoreScope,
    { workerId, incarnation }: WorkerIdentity,
    options: CallOptions | undefined,
  ): Promise<void> {
    const memory = this.#calls.memoryOf(scope);
    await this.#calls.group(memory, lua.LEAVE, [workerId, incarnation], options);
  }
}
