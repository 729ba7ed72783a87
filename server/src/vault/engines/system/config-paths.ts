import { AppError } from '../../../core/index.ts'
import type { Cluster } from '../../cluster.ts'
import type { PathSpec } from '../../engine.ts'
import { listField } from '../../fields.ts'

type Needs = { storageType: string; cluster: Cluster['current'] }

/** `sys/config`: settings that clients ask for. */
export function configPaths(needs: Needs): PathSpec[] {
  return [
    corsPath(),
    ...auditedHeaderPaths(),
    {
      pattern: 'config/state/sanitized',
      read: async () => ({
        data: {
          api_addr: '',
          cluster_addr: '',
          cluster_name: needs.cluster()?.name ?? '',
          default_lease_ttl: 0,
          max_lease_ttl: 0,
          listeners: [{ type: 'tcp', config: null }],
          storage: { type: needs.storageType, disable_clustering: true },
          log_format: 'json',
          log_level: '',
          raw_storage_endpoint: false,
        },
      }),
    },
    ...uiHeaderPaths(),
  ]
}

/** A page of another site never speaks to a vault with its visitor's token here. */
function corsPath(): PathSpec {
  return {
    pattern: 'config/cors',
    sudo: true,
    read: async () => ({ data: { enabled: false }, flat: true }),
    async update() {
      throw new AppError(
        'request.invalid',
        'pages of other sites cannot be let in: put a server of your own between them and this one',
      )
    },
    delete: async () => ({}),
  }
}

function auditedHeaderPaths(): PathSpec[] {
  return [
    {
      pattern: 'config/auditing/request-headers',
      sudo: true,
      read: async () => ({ data: { headers: {} } }),
    },
    {
      pattern: 'config/auditing/request-headers/{header}',
      sudo: true,
      async read() {
        throw new AppError('request.invalid', 'Could not find header in config')
      },
      async update() {
        throw new AppError('request.invalid', 'headers of requests are written to no log of this server')
      },
      delete: async () => ({}),
    },
  ]
}

/** Headers of a user interface that is not Vault's: there is none to set. */
function uiHeaderPaths(): PathSpec[] {
  return [
    { pattern: 'config/ui/headers', sudo: true, list: async () => undefined },
    {
      pattern: 'config/ui/headers/{header}',
      sudo: true,
      read: async () => undefined,
      async update(_, { body }) {
        const values = listField(body, 'values') ?? []
        const words = values.length === 0 ? 'header and values must be specified' : fixedHeaders
        throw new AppError('request.invalid', words)
      },
      delete: async () => ({}),
    },
  ]
}

const fixedHeaders = "the console's headers are fixed, so that nobody can weaken them"
