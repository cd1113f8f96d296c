import { setTimeout as after } from "node:timers/promises";

/**
 * What `look` finds, once it finds something, however long a busy machine takes: a test that hangs ends by
 * the runner's limit.
 */
export async function until<T>(look: () => T): Promise<NonNullable<T>> {
  for (;;) {
    const found = look();
    if (found) return found;
    await after(1);
  }
}
