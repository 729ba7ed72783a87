import {
  type Destination,
  type InputOf,
  injection,
  type passagesApi,
  type Reachable,
  reachable,
} from '@keyward/contract'
import { InvalidArgumentError } from 'commander'

export type Injection = InputOf<typeof passagesApi.open>['injection']

/** For `--to`, which can be repeated: `[METHOD,…] host[:port][/path]`. */
export function addPlace(text: string, earlier: readonly Destination[] = []): Destination[] {
  const [, methods, host, port, path] =
    /^(?:([A-Z]+(?:,[A-Z]+)*) +)?([^:/\s]+)(?::(\d{1,5}))?(\/\S*)?$/.exec(text) ?? []
  if (host === undefined) throw new InvalidArgumentError('Write it like: POST,PUT api.example.com:8443/v1/*')
  const below = path?.includes('*') ? { pathPattern: path } : { pathPrefix: path }
  return [
    ...earlier,
    {
      host,
      port: Number(port ?? 443),
      ...(methods === undefined ? {} : { methods: methods.split(',') }),
      ...(path === undefined ? {} : below),
    } as Destination,
  ]
}

/** As `--to` takes it. */
export const placeText = ({ host, port, methods, pathPrefix, pathPattern }: Destination): string =>
  `${methods ? `${methods.join(',')} ` : ''}${host}${port === 443 ? '' : `:${port}`}${pathPattern ?? pathPrefix ?? ''}`

/** For `--as`: a short form, or an injection as JSON. */
export function injectionFrom(text: string): Injection {
  const [kind = '', ...rest] = text.split(':')
  const name = rest.join(':')
  const short: Record<string, unknown> = {
    basic: { kind, part: name },
    body: { kind, pointer: name },
    'client-certificate': { kind, certificateField: name === '' ? undefined : name },
    postgres: { kind, databases: name.split(',') },
    ssh: { kind, ...sshFrom(name) },
    ...Object.fromEntries(['header', 'query', 'cookie'].map((one) => [one, { kind, name }])),
  }
  const written = text.startsWith('{') ? parsedJson(text) : (short[kind] ?? { kind: text })
  const read = injection.safeParse(written)
  if (!read.success) throw new InvalidArgumentError('It is none of the ways that the help names.')
  return read.data
}

/** `git ssh-ed25519 AAAA…`: users, then a key of the host as a known_hosts file has it. */
function sshFrom(text: string): { users: string[]; hostKeys: string[] } {
  const [users = '', ...key] = text.split(' ')
  return { users: users.split(','), hostKeys: [key.join(' ')] }
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Refused by who asked.
    return undefined
  }
}

/** For `--reach`, which can be repeated: as `--to`, or a destination as JSON, with `address`, `caPem` or `allowPrivate`. */
export function addReachable(text: string, earlier: readonly Reachable[] = []): Reachable[] {
  if (!text.startsWith('{')) return [...earlier, ...addPlace(text)]
  const read = reachable.safeParse(parsedJson(text))
  if (!read.success) throw new InvalidArgumentError('It is no destination as JSON.')
  return [...earlier, read.data]
}
