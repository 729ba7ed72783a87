import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, type SystemStatus } from '@keyward/contract'
import { openContractServer } from '../../test/support/contract-server.ts'
import { openShell } from '../../test/support/keyward-command.ts'
import { openShellInside } from '../../test/support/keyward-inside.ts'

const at = '2026-01-02T03:04:05.000Z'
const status: SystemStatus = {
  version: '1.2.3',
  startedAt: at,
  vault: { initialised: true, sealed: true, seal: 'shamir' },
  store: { dialect: 'sqlite', health: 'ok' },
  audit: { health: 'failing', seq: 41 },
  sandbox: {
    level: 'no-cgroup',
    driver: 'podman',
    reasons: ['cgroups are not writable'],
    running: 0,
  },
  proxy: { health: 'ok' },
  counts: {
    openFindings: 3,
    importedFindings: 1,
    pendingApprovals: 2,
    activeRuns: 1,
    agents: 1,
    activeLeases: 0,
  },
}
const session = {
  principal: 'person:ada',
  name: 'Ada',
  roles: ['owner' as const],
  signedInAt: at,
  expiresAt: at,
}

test('CLI-1: status tells every part, for people and for scripts', async (t) => {
  const server = await openContractServer(t)
  server.answer(api.system.status, () => status)
  server.answer(api.session.read, () => session)
  const { keyward } = openShell(t, { KEYWARD_ADDRESS: server.address })
  const { code, stdout } = await keyward(['status'])
  assert.equal(code, 0)
  assert.match(
    stdout,
    /Keyward 1\.2\.3[\s\S]*Ada \(owner\)[\s\S]*sealed, shamir seal[\s\S]*3 open, 1 imported/,
  )
  assert.deepEqual(JSON.parse((await keyward(['status', '--json'])).stdout), {
    address: server.address,
    status,
    session,
  })
})

test('CLI-1: doctor judges the parts of a server that answers, and exits 1 for one that fails', async (t) => {
  const server = await openContractServer(t)
  server.answer(api.system.status, () => status)
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  const { code, stdout } = await keyward(['doctor'])
  assert.equal(code, 1)
  assert.match(stdout, /^fail {2}vault +sealed\n +Unseal it: bao operator unseal\.$/m)
  assert.match(stdout, /^fail {2}audit +41 entries, failing$/m)
  assert.match(
    stdout,
    /^warn {2}isolation +level no-cgroup on the server by podman; cgroups are not writable$/m,
  )
  assert.match(stdout, /^ok {4}clock +agrees with the server's$/m)
})

test('POL-1: policies and their schema are shown as they are', async (t) => {
  const server = await openContractServer(t)
  const text = 'permit (principal, action, resource);\n'
  server.answer(api.system.policies, () => ({
    schema: 'entity Person;\n',
    policies: [{ name: 'solo', text, origin: 'default' as const }],
  }))
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  assert.match(
    (await keyward(['policy', 'list'])).stdout,
    /^NAME {2}ORIGIN {3}LINES\nsolo {2}default {2}1\n$/,
  )
  assert.equal((await keyward(['policy', 'show', 'solo'])).stdout, text)
  assert.equal((await keyward(['policy', 'schema'])).stdout, 'entity Person;\n')
  const gone = await keyward(['policy', 'show', 'gone'])
  assert.deepEqual(
    [gone.code, gone.stderr],
    [2, 'keyward: there is no policy gone. See: keyward policy list.\n'],
  )
})

test('DISC-7: a scan on the server is followed to its end and tells what it could not read', async (t) => {
  const server = await openContractServer(t)
  const scan = {
    id: 'scn_1',
    project: 'shop',
    path: '/srv/shop',
    filesScanned: 2,
    filesTotal: 2,
    bytesScanned: 10,
    commitsScanned: 0,
    findings: 1,
    opened: 1,
    fixed: 0,
    cause: 'person' as const,
    scheduleId: null,
    history: 'none' as const,
    problems: [{ file: 'locked', reason: 'EACCES' }],
    startedAt: at,
    finishedAt: null,
  }
  server.answer(api.findings.startScan, () => ({ ...scan, state: 'running' as const }))
  server.answer(api.findings.readScan, () => ({ ...scan, state: 'failed' as const }))
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  const { code, stdout } = await keyward(['scans', 'start', '/srv/shop', '--no-history'])
  assert.equal(code, 1)
  assert.match(stdout, /scn_1, failed[\s\S]*locked: EACCES/)
  assert.deepEqual(server.calls[0]?.input, { path: '/srv/shop', history: false, newCommits: false })
  assert.equal((await keyward(['scans', 'start', '/srv/shop', '--no-wait'])).code, 0)
})

test('WORK-2: status and doctor tell of runs on Temporal, and of those that nobody carries', async (t) => {
  const server = await openContractServer(t)
  const temporal = {
    address: 'temporal.internal:7233',
    namespace: 'keyward',
    state: 'up' as const,
    problem: null,
    untold: 0,
    running: 3,
  }
  let hosts: SystemStatus['hosts'] = {
    forNewRuns: 'temporal',
    active: { embedded: 2, temporal: 14 },
    temporal,
  }
  server.answer(api.system.status, () => ({ ...status, hosts }))
  server.answer(api.session.read, () => session)
  const { keyward } = openShellInside(t, { KEYWARD_ADDRESS: server.address })
  const said = /2 embedded, 14 on Temporal \(temporal\.internal:7233, keyward: up\)/
  assert.match((await keyward(['status'])).stdout, said)
  assert.match((await keyward(['doctor'])).stdout, /14 runs on Temporal, temporal\.internal:7233/)
  hosts = { ...hosts, temporal: { ...temporal, state: 'connecting', problem: 'nobody answers', untold: 4 } }
  assert.match((await keyward(['doctor'])).stdout, /nobody answers\. 4 runs wait to be told/)
  hosts = { ...hosts, forNewRuns: 'embedded', temporal: null }
  assert.match((await keyward(['doctor'])).stdout, /They stand still: set KEYWARD_TEMPORAL_ADDRESS again/)
})
