import type { ConnectionView, ConnectorView } from '@keyward/contract'
import type { Handlers } from './console-server.ts'
import { ago } from './made-up.ts'

const connection: ConnectionView = {
  id: 'con_01',
  name: 'code',
  connector: 'github',
  settings: { appId: '123456', installationId: '7890', repositories: ['team/shop'] },
  secretPath: 'secret/github/app',
  environment: 'production',
  createdBy: 'person:per_01',
  createdAt: ago(9000),
  health: { state: 'up', detail: 'installed at team', latencyMs: 212, checkedAt: ago(2) },
}

const connections: ConnectionView[] = [
  connection,
  {
    ...connection,
    id: 'con_02',
    name: 'code-elsewhere',
    secretPath: 'secret/github/elsewhere',
    health: {
      state: 'down',
      detail: 'GitHub does not accept the key of the App',
      latencyMs: 96,
      checkedAt: ago(3),
    },
  },
  { ...connection, id: 'con_03', name: 'code-new', health: null },
]

const github: ConnectorView = {
  name: 'github',
  title: 'GitHub',
  docs: 'https://docs.github.com/en/rest',
  settings: {
    type: 'object',
    properties: {
      appId: { type: 'string' },
      installationId: { type: 'string' },
      apiUrl: { type: 'string', default: 'https://api.github.com' },
      repositories: { type: 'array', items: { type: 'string' } },
    },
    required: ['appId', 'installationId'],
  },
  secretFields: [{ name: 'private_key', title: 'Private key of the GitHub App, PEM', optional: false }],
  actions: [],
}

export const connectionHandlers = (): Handlers => ({
  'connections.list': () => ({ items: connections }),
  'connectors.list': () => ({ items: [github] }),
  'connections.create': ({ name, settings, secretPath, environment }) => ({
    ...connection,
    id: 'con_04',
    name,
    settings,
    secretPath,
    environment,
    health: null,
  }),
  'connections.check': ({ connectionId }) => connections.find(({ id }) => id === connectionId) ?? connection,
  'connections.remove': () => ({ removed: true }),
})

export const emptyConnectionHandlers = (): Handlers => ({
  ...connectionHandlers(),
  'connections.list': () => ({ items: [] }),
})
