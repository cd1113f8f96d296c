/** Of the requests that one call makes at once. */
const MAX_IN_FLIGHT = 8;

/**
 * `work` on each item, some at once; the answers in the items' order. After a failure nothing is begun
 * any more. It ends when what was begun has ended.
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
