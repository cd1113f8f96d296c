type Method = (...given: unknown[]) => unknown;

/**
 * A statement, or a function, that the work of a transaction has made. A handler can keep it, and go on with
 * it when it is not in a transaction any more: whatever it writes then would be stored by itself. One that is
 * kept for the next transaction works there.
 * @param check called before each use @throws what the use throws then
 */
export function guarded<Made extends object>(made: Made, check: () => void): Made {
  const methods = new Map<string | symbol, Method>();
  const guardedMethod = (name: string | symbol, value: Method): Method => {
    const known = methods.get(name);
    if (known !== undefined) return known;
    const method: Method = (...given) => {
      check();
      const answer: unknown = Reflect.apply(value, made, given);
      // All rows are read at once. A query that is left half-way, by `break` for one, holds the connection of
      // better-sqlite3, and keeps that of `libsql` from writing once another process has written.
      if (name === "iterate") return [...(answer as Iterable<unknown>)].values();
      return answer === made ? guard : answer;
    };
    methods.set(name, method);
    return method;
  };
  // A function's own properties cannot be replaced in a proxy of the function itself.
  const target = typeof made === "function" ? (((): void => {}) as unknown as Made) : made;
  const guard: Made = new Proxy(target, {
    get(_target, name) {
      const value: unknown = Reflect.get(made, name, made);
      if (typeof value !== "function" || name === "constructor") return value;
      return guardedMethod(name, value as Method);
    },
    apply: (_target, self, given) => {
      check();
      return Reflect.apply(made as unknown as Method, self, given);
    },
  });
  return guard;
}
