import type { StoreScope } from "@kc/core";
import { joiningHarness, JoiningStore } from "../support/joining-store.ts";
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

/** Says that it joins names, and does what it does with them. */
const joining = (name: string, Class: typeof ReferenceStore): Mutant => ({
  name,
  caughtBy: ["scope.joined-names"],
  makeHarness: () => joiningHarness(Class),
});

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
  joining("says that it joins names, and keeps them apart", ReferenceStore),
  joining(
    "lets the second scope of a namespace in",
    class extends JoiningStore {
      override refuseForeign(): void {}
    },
  ),
  joining(
    "refuses the second scope only on the handle that opened it",
    class extends JoiningStore {
      readonly opened = new Set<string>();

      override openApplication(
        ...[scope, ...rest]: Parameters<ReferenceStore["openApplication"]>
      ): ReturnType<ReferenceStore["openApplication"]> {
        this.opened.add(this.scopeKey(scope));
        return super.openApplication(scope, ...rest);
      }

      override refuseForeign(scope: StoreScope): void {
        if (this.opened.has(this.scopeKey(scope))) super.refuseForeign(scope);
      }
    },
  ),
  naming("has one byte for a character", "scope.odd-names", (name) =>
    name.replaceAll(/[^\0-\xff]/gu, "?"),
  ),
  naming("escapes what it does not like", "scope.odd-names", (name) =>
    name.replaceAll(/[^\p{L}\p{N}-]/gu, ""),
  ),
  naming(
    "writes names in UTF-8, in which halves of pairs are the same",
    "scope.half-pairs",
    (name) => Buffer.from(name).toString(),
  ),
  naming("confuses cases", "scope.case", (name) => name.toLowerCase()),
  naming("confuses accents", "scope.case", (name) =>
    name.normalize("NFD").replaceAll(/\p{M}/gu, ""),
  ),
  naming("pads names with spaces", "scope.spaces", (name) => name.trimEnd()),
  naming("cuts names at 128 characters", "scope.long-names", (name) => name.slice(0, 128)),
  mutant(
    "confuses the cases of shard ids",
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
