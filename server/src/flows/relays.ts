import type { Destination, Injection } from '@keyward/contract'
import { anyUser } from '../lend/index.ts'
import { type EgressRule, sshAgentAuthority } from '../proxy/index.ts'
import type { SandboxWay } from '../sandbox/index.ts'
import { sshAgentSocket, sshFiles } from './ssh-files.ts'

/** What a sandbox is given so that programs find what is lent, where no HTTP is spoken. */
export type Relays = {
  /** For each destination. */
  readonly rule: Pick<EgressRule, 'relay' | 'caPem'>
  readonly ways: readonly SandboxWay[]
  readonly environment: Readonly<Record<string, string>>
  readonly home: Readonly<Record<string, string>>
}

type Lent = {
  readonly injection: Injection | undefined
  readonly destinations: readonly Destination[]
  readonly placeholder: string
}

const unprivileged = 1024

/** By kind of injection; nothing for those that stand in HTTP. */
export function relaysFor({ injection, destinations, placeholder }: Lent): Relays {
  const ways = (usual: number): SandboxWay[] =>
    portsFor(destinations, usual).map((at, index) => ({ at, to: authorityOf(destinations[index]) }))
  switch (injection?.kind) {
    case 'postgres': {
      const { tls, caPem, databases } = injection
      const led = ways(5432)
      const rule = { relay: { kind: injection.kind, tls }, ...(caPem === undefined ? {} : { caPem }) }
      return {
        rule,
        ways: led,
        environment: postgresEnvironment(led, databases[0] ?? '', placeholder),
        home: {},
      }
    }
    case 'redis': {
      const { tls, caPem, allow = [] } = injection
      const led = ways(6379)
      const rule = { relay: { kind: injection.kind, tls, allow }, ...(caPem === undefined ? {} : { caPem }) }
      return { rule, ways: led, environment: redisEnvironment(led, placeholder), home: {} }
    }
    case 'ssh':
      return {
        rule: { relay: { kind: injection.kind } },
        ways: [{ at: sshAgentSocket, to: sshAgentAuthority }],
        environment: { SSH_AUTH_SOCK: sshAgentSocket },
        home: sshFiles(destinations, injection),
      }
    default:
      return { rule: {}, ways: [], environment: {}, home: {} }
  }
}

/** The usual port for the first, and those that follow it; a destination's own port where that can be had. */
function portsFor(destinations: readonly Destination[], usual: number): number[] {
  const taken = new Set<number>()
  return destinations.map(({ port }, index) => {
    let at = index === 0 || port < unprivileged ? usual : port
    while (taken.has(at)) at++
    taken.add(at)
    return at
  })
}

const authorityOf = (destination: Destination | undefined): string => {
  const { host, port } = destination ?? { host: '', port: 0 }
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** As libpq and most drivers read them. TLS is made outside. */
function postgresEnvironment(
  [first]: readonly SandboxWay[],
  database: string,
  placeholder: string,
): Record<string, string> {
  const at = String(first?.at)
  return {
    PGHOST: '127.0.0.1',
    PGPORT: at,
    PGUSER: anyUser,
    PGDATABASE: database,
    PGPASSWORD: placeholder,
    PGSSLMODE: 'disable',
    PGGSSENCMODE: 'disable',
    DATABASE_URL: `postgresql://${anyUser}:${placeholder}@127.0.0.1:${at}/${encodeURIComponent(database)}?sslmode=disable`,
  }
}

/** `REDISCLI_AUTH` is what redis-cli reads. */
const redisEnvironment = ([first]: readonly SandboxWay[], placeholder: string): Record<string, string> => ({
  REDIS_URL: `redis://${anyUser}:${placeholder}@127.0.0.1:${first?.at}`,
  REDISCLI_AUTH: placeholder,
})
