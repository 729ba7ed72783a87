import { isIP } from 'node:net'
import { type EgressExplanation, type Injection, injectionText } from '@keyward/contract'
import type { Request } from './destinations.ts'

type Check = EgressExplanation['checks'][number]
type Spoken = 'https' | 'postgres' | 'redis' | 'ssh'

const schemes: Readonly<
  Record<string, { readonly spoken: Spoken; readonly port: number; readonly words: string }>
> = {
  'https:': { spoken: 'https', port: 443, words: 'HTTPS' },
  'postgres:': { spoken: 'postgres', port: 5432, words: 'PostgreSQL' },
  'postgresql:': { spoken: 'postgres', port: 5432, words: 'PostgreSQL' },
  'redis:': { spoken: 'redis', port: 6379, words: 'Redis' },
  'rediss:': { spoken: 'redis', port: 6379, words: 'Redis' },
  'ssh:': { spoken: 'ssh', port: 22, words: 'SSH' },
}

export type Explained = { readonly request: Request; readonly spoken: Spoken; readonly address: Check }

/** What an address asks for, as the proxy would see it. */
export function explainedRequest(written: string, method: string): Explained {
  const url = URL.canParse(written) ? new URL(written) : undefined
  const { spoken, port, words } = schemes[url?.protocol ?? ''] ?? {
    spoken: 'https' as const,
    port: 443,
    words: 'HTTPS',
  }
  const host = (url?.hostname ?? '').toLowerCase().replace(/^\[|\]$|\.$/g, '')
  const request = {
    host,
    port: Number(url?.port || port),
    method: spoken === 'https' ? method : spoken.toUpperCase(),
    path: url?.pathname || '/',
  }
  const refused = addressProblem(url)
  const literal = isIP(host) === 0 ? '' : ' It is an address: the task must list this very address.'
  const text =
    refused ?? `${host}:${request.port} can be asked for by ${words}; the task must list it.${literal}`
  return { request, spoken, address: { what: 'address', holds: refused === undefined, text } }
}

function addressProblem(url: URL | undefined): string | undefined {
  if (!url || url.hostname === '') return 'This is no address. Write it as https://host/path.'
  if (!schemes[url.protocol])
    return `Only HTTPS leaves a sandbox, not ${url.protocol.slice(0, -1)}. What is lent for logins is asked for by postgres:, redis: or ssh:.`
  const hasUser = url.username !== '' && url.protocol === 'https:'
  if (hasUser || url.password !== '') return 'An address with a user in it is not taken.'
  return undefined
}

/** Why something lent in this way is not for what is spoken there. */
export function otherwiseLent(how: Injection, { spoken, request }: Explained): string | undefined {
  const isRelay = how.kind === 'postgres' || how.kind === 'redis' || how.kind === 'ssh'
  if (spoken === 'https') return isRelay ? `It is lent ${injectionText(how)}, not for HTTPS.` : undefined
  if (how.kind !== spoken) return `It is lent ${injectionText(how)}, not for ${spoken}.`
  const database = request.path.slice(1)
  if (how.kind !== 'postgres' || database === '') return undefined
  if (how.databases.map(encodeURIComponent).includes(database)) return undefined
  return `It is lent ${injectionText(how)}.`
}
