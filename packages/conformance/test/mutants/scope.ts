import type { StoreScope } from "@kc/core";
import { mutant, type Mutant } from "../support/mutant.ts";
import { ReferenceStore } from "../support/reference-store.ts";

/** Keeps rows under a key made in another way. */
function keyedBy(name: string, caughtBy: string, key: (scope: StoreScope) => string): Mutant {
  return mutant(
    name,
    caughtBy,
    class extends ReferenceStore {
      override scopeKey(scope: StoreScope): string {
        return key(scope);
      }
    },
  );
}

/** Changes every name on its way in. */
const naming = (name: string, caughtBy: string, change: (name: string) => string): Mutant =>
  keyedBy(name, caughtBy, ({ application, streamName }) =>
    JSON.stringify([change(application), change(streamName)]),
  );

export const scopeMutants: readonly Mutant[] = [
  keyedBy("forgets the application", "scope.applications", ({ streamName }) => streamName),
  keyedBy("forgets the stream", "scope.streams", ({ application }) => application),
  ...["-", ":", "/", '","'].map((joint) =>
    keyedBy(
      `joins names with ${joint}`,
      "scope.joined-names",
      ({ application, streamName }) => `${application}${joint}${streamName}`,
    ),
  ),
  naming("has one byte for a character", "scope.odd-names", (name) =>
    name.replaceAll(/[^\0-\xff]/gu, "?"),
  ),
  naming("escapes what it does not like", "scope.odd-names", (name) =>
    name.replaceAll(/[^\p{L}\p{N}-]/gu, ""),
  ),
  naming("does not tell cases apart", "scope.case", (name) => name.toLowerCase()),
  naming("does not tell accents apart", "scope.case", (name) =>
    name.normalize("NFD").replaceAll(/\p{M}/gu, ""),
  ),
  naming("pads names with spaces", "scope.spaces", (name) => name.trimEnd()),
  naming("cuts names at 128 characters", "scope.long-names", (name) => name.slice(0, 128)),
  mutant(
    "does not tell the cases of shard ids apart",
    "scope.shard-names",
    class extends ReferenceStore {
      override shardKey(scope: StoreScope, shardId: string): string {
        return super.shardKey(scope, shardId.toLowerCase());
      }
    },
  ),
  mutant(
    "cuts shard ids at a colon",
    "scope.shard-names",
    class extends ReferenceStore {
      override shardKey(scope: StoreScope, shardId: string): string {
        return super.shardKey(scope, shardId.split(":")[0]!);
      }
    },
  ),
];
