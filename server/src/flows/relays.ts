import type { Destination, Injection } from '@keyward/contract'
import { postgresVariables, redisVariables } from '../core/index.ts'
import { anyUser } from '../lend/index.ts'
import { type EgressRule, relayRuleOf, sshAgentAuthority } from '../proxy/index.ts'
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
  const rule = relayRuleOf(injection)
  const login = (port: number) => ({ port, user: anyUser, password: placeholder })
  switch (injection?.kind) {
    case 'postgres': {
      const led = ways(5432)
      const environment = postgresVariables(login(Number(led[0]?.at)), injection.databases[0] ?? '')
      return { rule, ways: led, environment, home: {} }
    }
    case 'redis': {
      const led = ways(6379)
      return { rule, ways: led, environment: redisVariables(login(Number(led[0]?.at))), home: {} }
    }
    case 'ssh':
      return {
        rule,
        ways: [{ at: sshAgentSocket, to: sshAgentAuthority }],
        environment: { SSH_AUTH_SOCK: sshAgentSocket },
        home: sshFiles(destinations, injection),
      }
    default:
      return { rule, ways: [], environment: {}, home: {} }
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
