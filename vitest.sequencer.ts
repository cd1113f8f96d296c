import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that take a minute or more: begun last, one of them would run alone at the end. */
const LONG =
  /simulation\/test|store-(redis|dynamodb|mysql)\/test\/(conformance|failures|frozen-client|fence)|packaging\/test\/install|end-to-end\/test\/group/;

/** Long files first, without a cache of durations: a clean checkout has none. */
export class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // oxlint-disable-next-line unicorn/no-array-sort -- a sequencer's sort is no array's
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification): boolean => LONG.test(moduleId);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}
