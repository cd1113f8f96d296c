/** The maximum number of concurrent requests of one call. */
const MAX_IN_FLIGHT = 8;

/**
 * Runs `work` on each item, several concurrently, and returns the results in the order of the items. After a failure no
 * further work is started. It settles when all started work has ended.
 * @throws the first failure
 */
export async function inParallel<Item, Answer>(
  items: readonly Item[],
  work: (item: Item) => Promise<Answer>,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  const failures: unknown[] = [];
  const queue = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of queue) {
      try {
        answers[index] = await work(item);
      } catch (error) {
        failures.push(error);
      }
      if (failures.length > 0) return;
    }
  };
  await Promise.all(Array.from({ length: Math.min(MAX_IN_FLIGHT, items.length) }, worker));
  if (failures.length > 0) throw failures[0];
  return answers;
}
