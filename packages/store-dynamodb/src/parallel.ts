/**
 * The answers of `work` on each value, in their order, with so many under way at once. After a
 * failure none is begun; it rejects with the first one when those under way have ended.
 */
export async function inParallel<Value, Answer>(
  values: readonly Value[],
  concurrency: number,
  work: (value: Value) => Promise<Answer>,
): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  const failures: unknown[] = [];
  const rest = values.entries();
  const one = async (): Promise<void> => {
    for (const [index, value] of rest) {
      try {
        answers[index] = await work(value);
      } catch (error) {
        failures.push(error);
      }
      if (failures.length > 0) return;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, one));
  if (failures.length > 0) throw failures[0];
  return answers;
}
