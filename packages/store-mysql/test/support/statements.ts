import type { Pool } from "mysql2/promise";

export type Fate = "sent" | "unanswered" | "unsent";

/** A pool of one connection whose statements are watched: each is reported before it is sent. */
export interface WatchedPool {
  readonly pool: Pool;
  /**
   * What becomes of a statement: it is sent; it is sent and its answer never comes; or it is never
   * sent, as if the process stood still before it.
   */
  readonly watch: (decide: (sql: string) => Fate) => void;
}

export async function watched(pool: Pool): Promise<WatchedPool> {
  const connection = await pool.getConnection();
  const raw = connection.connection;
  const query = raw.query.bind(raw) as (...parts: unknown[]) => unknown;
  let decide: (sql: string) => Fate = () => "sent";
  Reflect.set(raw, "query", (...parts: unknown[]) => {
    const { sql } = parts[0] as { readonly sql: string };
    const fate = decide(sql);
    if (fate === "sent") return query(...parts);
    return fate === "unanswered" ? query(parts[0], () => undefined) : undefined;
  });
  connection.release();
  return { pool, watch: (next) => (decide = next) };
}
