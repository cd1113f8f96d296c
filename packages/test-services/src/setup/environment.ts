import type { Services } from "./addresses.ts";

/**
 * The environment variables that name an existing server: a URL, or several, separated by commas.
 */
export const VARIABLES: Readonly<Record<keyof Services, string>> = {
  dynamodb: "KC_DYNAMODB_URL",
  mariadb: "KC_MARIADB_URL",
  mysql: "KC_MYSQL_URL",
  postgres: "KC_POSTGRES_URL",
  redis: "KC_REDIS_URL",
  redisCluster: "KC_REDIS_CLUSTER_URLS",
  sqsS3: "KC_SQS_S3_URL",
};

/**
 * The address of the server that the environment names; `undefined` if there is none. @throws Error
 * that names the variable if its value is not such a URL
 */
export function addressFromEnvironment<Name extends keyof Services>(
  name: Name,
  environment: Readonly<Record<string, string | undefined>>,
): Services[Name] | undefined {
  const variable = VARIABLES[name];
  const value = environment[variable];
  if (value === undefined || value === "") return undefined;
  try {
    return READ[name](value);
  } catch (error) {
    throw new Error(`${variable} is not what it has to be`, { cause: error });
  }
}

const READ: { readonly [Name in keyof Services]: (value: string) => Services[Name] } = {
  dynamodb: (value) => ({ ...hostOf(value, ["http:", "https:"], 8000), endpoint: value }),
  mariadb: mysqlOf,
  mysql: mysqlOf,
  postgres: (value) => {
    const { username, password, pathname } = new URL(value);
    return {
      ...hostOf(value, ["postgres:", "postgresql:"], 5432),
      user: decodeURIComponent(username),
      password: decodeURIComponent(password),
      database: decodeURIComponent(pathname.slice(1)) || "postgres",
      connectionString: value,
    };
  },
  redis: (value) => ({ ...hostOf(value, ["redis:", "rediss:"], 6379), url: value }),
  redisCluster: (value) => ({ nodes: value.split(",").map((url) => READ.redis(url)) }),
  sqsS3: (value) => ({ ...hostOf(value, ["http:", "https:"], 80), endpoint: value }),
};

function mysqlOf(value: string): NonNullable<Services["mysql"]> {
  const { username, password } = new URL(value);
  return {
    ...hostOf(value, ["mysql:", "mariadb:"], 3306),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    uri: value,
  };
}

function hostOf(
  value: string,
  protocols: readonly string[],
  byDefault: number,
): { readonly host: string; readonly port: number } {
  const { protocol, hostname, port } = new URL(value);
  if (!protocols.includes(protocol)) throw new Error(`a URL of ${protocols.join(" or ")}`);
  return { host: hostname, port: port === "" ? byDefault : Number(port) };
}
