/** A login at a port of this machine's loopback, in whose place the proxy makes another one outside. */
type LocalLogin = {
  readonly port: number
  readonly user: string
  /** The placeholder. */
  readonly password: string
}

/** By which variables libpq and most drivers find PostgreSQL. TLS is made outside. */
export const postgresVariables = (
  { port, user, password }: LocalLogin,
  database: string,
): Record<string, string> => ({
  PGHOST: '127.0.0.1',
  PGPORT: String(port),
  PGUSER: user,
  PGDATABASE: database,
  PGPASSWORD: password,
  PGSSLMODE: 'disable',
  PGGSSENCMODE: 'disable',
  DATABASE_URL: `postgresql://${user}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}?sslmode=disable`,
})

/** `REDISCLI_AUTH` is what redis-cli reads. */
export const redisVariables = ({ port, user, password }: LocalLogin): Record<string, string> => ({
  REDIS_URL: `redis://${user}:${password}@127.0.0.1:${port}`,
  REDISCLI_AUTH: password,
})
