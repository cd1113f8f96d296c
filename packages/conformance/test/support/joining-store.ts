import { NamespaceConflictError, type CallOptions, type StoreScope } from "@kc/core";
import type { StoreHarness } from "../../src/index.ts";
import { ReferenceServer, ReferenceStore, referenceHarness } from "./reference-store.ts";

/** Joins names as Go's library does, and refuses the second scope of a namespace. */
export class JoiningStore extends ReferenceStore {
  override scopeKey({ application, streamName }: StoreScope): string {
    return `${application}-${streamName}`;
  }

  override shardKey(scope: StoreScope, shardId: string): string {
    this.refuseForeign(scope);
    return super.shardKey(scope, shardId);
  }

  override async getCheckpoints(
    scope: StoreScope,
    options?: CallOptions,
  ): ReturnType<ReferenceStore["getCheckpoints"]> {
    this.refuseForeign(scope);
    return super.getCheckpoints(scope, options);
  }

  refuseForeign(scope: StoreScope): void {
    const text = this.server.applications.get(this.scopeKey(scope));
    if (text === undefined) return;
    const row = this.decodeRow(text);
    if (row.application === scope.application && row.streamName === scope.streamName) return;
    throw new NamespaceConflictError(`${this.scopeKey(scope)} is ${row.application}'s`);
  }
}

export async function joiningHarness(
  Class: typeof ReferenceStore = JoiningStore,
): Promise<StoreHarness> {
  return { ...referenceHarness(Class, new ReferenceServer()), joinsNames: true };
}
