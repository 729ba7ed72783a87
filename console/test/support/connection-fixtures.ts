import type { ConnectionView, ConnectorView, HookView, TriggerView } from '@keyward/contract'
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

const hook: HookView = {
  connectionId: 'con_01',
  connection: 'code',
  address: '/api/v1/hooks/github/con_01',
  issuedBy: 'person:p1',
  issuedAt: ago(86_400),
  received: { starts: 4, wakes: 31, ping: 1, unused: 12 },
  last: {
    at: ago(120),
    event: 'pull_request',
    action: 'labeled',
    repository: 'team/shop',
    use: 'starts',
    detail: 'Deploy what is labelled',
  },
}

const trigger: TriggerView = {
  id: 'trg_01',
  title: 'Deploy what is labelled',
  connectionId: 'con_01',
  connection: 'code',
  event: 'pull_request',
  repository: 'team/shop',
  actions: ['labeled'],
  branches: ['main'],
  labels: ['deploy'],
  forks: false,
  flow: null,
  input: {},
  goal: 'deploy pull request {number} of {repository}',
  paused: false,
  createdBy: 'person:p1',
  createdAt: ago(86_400),
  requestedBy: 'person:p1',
  started: 4,
  refused: 0,
  last: {
    id: 'fir_01',
    at: ago(120),
    state: 'refused',
    about: 'pull_request labeled, team/shop#7',
    requestedBy: 'person:p1',
    runId: null,
    goalId: null,
    runState: null,
    reason: 'policy.denied: the account is closed',
  },
}

const ofFlow: TriggerView = {
  ...trigger,
  id: 'trg_02',
  title: 'Diagnose the shop after each push to its main branch and its release branches',
  connectionId: 'con_03',
  connection: 'code-new',
  event: 'push',
  actions: [],
  branches: ['main', 'release-*'],
  labels: [],
  forks: true,
  flow: 'diagnose',
  input: { service: { $event: 'repository' } },
  goal: null,
  paused: true,
  last: null,
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
  'hooks.list': () => ({ items: [hook] }),
  'hooks.issue': () => ({ hook, secret: 'shown-once-and-never-again' }),
  'hooks.remove': () => ({ removed: true }),
  'triggers.list': () => ({ items: [trigger, ofFlow] }),
  'triggers.create': () => trigger,
  'triggers.change': () => ({ ...trigger, paused: true }),
  'triggers.remove': () => ({ removed: true }),
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
  'hooks.list': () => ({ items: [] }),
  'triggers.list': () => ({ items: [] }),
})
