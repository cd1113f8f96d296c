import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";

/** A schema of its own in the server that all tests of this package share. */
export interface TestDatabase extends AsyncDisposable {
  readonly schema: string;
  readonly connectionString: string;
  /** A superuser's connections, which no test breaks. */
  readonly admin: pg.Pool;
}

export async function testDatabase(): Promise<TestDatabase> {
  const { connectionString } = inject("postgres");
  const schema = `kc_${randomBytes(6).toString("hex")}`;
  const admin = new pg.Pool({ connectionString, max: 2 });
  await admin.query(`CREATE SCHEMA ${schema}`);
  return {
    schema,
    connectionString,
    admin,
    async [Symbol.asyncDispose]() {
      await admin.query(`DROP SCHEMA ${schema} CASCADE`);
      await admin.end();
    },
  };
}
