type Method = (...given: unknown[]) => unknown;

/**
 * Guards a statement or function that a handler created in a transaction. The handler could keep it and use it after
 * the transaction's end, when each write would commit by itself. It can be used again in the next transaction.
 * @param check called before each use; what it throws, the use throws
 */
export function guarded<Made extends object>(made: Made, check: () => void): Made {
  const methods = new Map<string | symbol, Method>();
  const guardedMethod = (name: string | symbol, value: Method): Method => {
    const known = methods.get(name);
    if (known !== undefined) return known;
    const method: Method = (...given) => {
      check();
      const answer: unknown = Reflect.apply(value, made, given);
      // All rows are read immediately. An unfinished query, for instance after a `break`, blocks the connection of
      // better-sqlite3, and prevents that of `libsql` from writing once another process has written.
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
