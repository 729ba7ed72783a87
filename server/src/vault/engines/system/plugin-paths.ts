import { AppError } from '../../../core/index.ts'
import type { Answer, PathSpec } from '../../engine.ts'
import type { Mounts } from '../../mounts.ts'

type Kind = 'auth' | 'database' | 'secret'
const kinds: readonly Kind[] = ['auth', 'database', 'secret']

type Needs = {
  mounts: Pick<Mounts, 'types'>
  version: string
  /** Of the engine for databases. */
  databases: readonly string[]
}

/** `sys/plugins`: what is built in. Nothing can be added: the program is what was released and checked. */
export function pluginPaths({ mounts, version, databases }: Needs): PathSpec[] {
  const names = (kind: Kind): string[] => {
    const { secret, auth } = mounts.types()
    return [...(kind === 'database' ? databases : kind === 'auth' ? auth : secret)].sort()
  }
  const builtin = `v${version}.builtin`
  const kindFrom = (text: string | undefined): Kind | undefined => kinds.find((kind) => kind === text)
  return [
    {
      pattern: 'plugins/catalog',
      async read() {
        const detailed = kinds.flatMap((type) =>
          names(type).map((name) => ({
            type,
            name,
            version: builtin,
            builtin: true,
            deprecation_status: 'supported',
          })),
        )
        return { data: { ...Object.fromEntries(kinds.map((kind) => [kind, names(kind)])), detailed } }
      },
    },
    {
      pattern: 'plugins/catalog/{type}',
      async list({ params }) {
        const kind = kindFrom(params['type'])
        if (!kind) throw new AppError('request.invalid', `"${params['type']}" is not a supported plugin type`)
        return { data: { keys: names(kind) } }
      },
      read: async ({ params }) => catalogEntry(params['type'] ?? '', undefined),
      update: refuse,
      delete: refuse,
    },
    {
      pattern: 'plugins/catalog/{type}/{name}',
      sudo: true,
      async read({ params }) {
        const kind = kindFrom(params['type'])
        const name = params['name'] ?? ''
        return kind && names(kind).includes(name) ? catalogEntry(name, builtin) : undefined
      },
      update: refuse,
      delete: refuse,
    },
    // Nothing runs outside this process, so nothing has to be started anew.
    { pattern: 'plugins/reload/backend', update: async () => ({ data: { reload_id: '' } }) },
    { pattern: 'plugins/reload/{type}/{name}', update: async () => ({ data: { reload_id: '' } }) },
  ]
}

function catalogEntry(name: string, version: string | undefined): Answer {
  if (version === undefined)
    return {
      warnings: [`Deprecated API endpoint, cannot read plugin information from catalog for "${name}"`],
    }
  return {
    data: {
      name,
      args: [],
      command: '',
      sha256: '',
      builtin: true,
      version,
      oci: false,
      deprecation_status: 'supported',
    },
  }
}

async function refuse(): Promise<never> {
  throw new AppError('request.invalid', 'plugins cannot be registered: this server runs what is built in')
}
