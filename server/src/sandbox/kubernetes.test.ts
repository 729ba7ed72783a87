// The driver for Kubernetes against an API server of the test's own, whose pods are real processes.
import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { startKubernetes } from '../../test/support/kubernetes-server.ts'
import { type Subject, temporaryFolder, testId, testLimits } from '../../test/support/sandbox/attacker.ts'
import { commandContract } from '../../test/support/sandbox/command.ts'
import { networkContract } from '../../test/support/sandbox/network.ts'
import { pairContract } from '../../test/support/sandbox/pair.ts'
import { workspaceContract } from '../../test/support/sandbox/workspace.ts'
import { systemClock } from '../core/index.ts'
import { findProgram } from './install.ts'
import { createKubernetesDriver } from './kubernetes.ts'
import { jobFor } from './kubernetes-job.ts'

const hidden: (() => unknown)[] = []
const folder = await temporaryFolder({ after: (clean) => void hidden.push(clean as () => unknown) })
const cluster = await startKubernetes(folder)
after(async () => {
  cluster.close()
  for (const clean of hidden) await clean()
})

const driverWith = (env: Record<string, string>, stateDir = join(folder, 'state')) =>
  createKubernetesDriver({
    clock: systemClock,
    random: Math.random,
    stateDir,
    env,
    account: cluster.account,
  })
const driver = driverWith(cluster.env)
const state = await driver.prepare()
const skip: string | false = findProgram('bwrap') ? false : 'bubblewrap is not installed'
const stateDir = join(folder, 'given')
await mkdir(stateDir)
const subject: Subject = { driver, skip, bounded: false, stateDir, named: false }

describe('kubernetes', { skip, concurrency: 3 }, () => {
  commandContract(subject)
  workspaceContract(subject)
  pairContract(subject)
  networkContract(subject)
})

describe('a cluster', { skip }, () => {
  const spec = () => ({ id: testId(), command: ['true'] as const, env: {}, limits: testLimits })

  test('SAND-1: it is ready when a trial has run, and says what it does not bound', () => {
    assert.ok(state.ready, state.reasons.join(' '))
    assert.deepEqual(state.controllers, ['memory'])
    assert.match(state.reasons.join(), /podPidsLimit/)
  })

  test('SAND-1: a job is gone from the cluster when its sandbox has ended', async () => {
    const result = await driver.run(spec(), {})
    assert.equal(result.exitCode, 0)
    assert.equal(cluster.jobs.size, 0)
  })

  test('SAND-2: nothing of the command, its environment or its workspace is in the manifest', async () => {
    const seen: string[] = []
    const command = ['sh', '-c', 'echo on; sleep 600; : marked-word'] as const
    const cancel = new AbortController()
    await driver.run(
      { ...spec(), command, env: { MARKED: 'marked-value' } },
      {
        signal: cancel.signal,
        onOutput() {
          seen.push(...[...cluster.jobs.values()].map(({ job }) => JSON.stringify(job)))
          cancel.abort()
        },
      },
    )
    assert.ok(seen.length > 0)
    for (const text of seen) assert.doesNotMatch(text, /marked/i)
  })

  test('SAND-2: it asks for jobs, pods and their streams, and for nothing else', () => {
    const known = [
      /^POST \/apis\/batch\/v1\/namespaces\/agents\/jobs$/,
      /^DELETE \/apis\/batch\/v1\/namespaces\/agents\/jobs\/keyward-[0-9a-f]{40}\?/,
      /^GET \/api\/v1\/namespaces\/agents\/pods\?labelSelector=/,
      /^GET \/api\/v1\/namespaces\/agents\/pods\/pod-keyward-[0-9a-f]{40}\/attach\?/,
    ]
    for (const request of cluster.requests)
      assert.ok(
        known.some((one) => one.test(request)),
        request,
      )
  })

  test('SAND-2: a network that lets a pod reach the API server closes the driver', async () => {
    cluster.trouble.open = true
    const found = await driverWith(cluster.env, join(folder, 'open')).prepare()
    delete cluster.trouble.open
    assert.equal(found.ready, false)
    assert.match(found.reasons.join(), /no network policy holds it/)
  })

  test('SAND-2: an image without a digest, an account without rights and a missing image are reasons', async () => {
    const tagged = { ...cluster.env, KEYWARD_SANDBOX_IMAGE: 'registry.example/node:24' }
    assert.match((await driverWith(tagged).prepare()).reasons.join(), /by its digest/)
    assert.match((await driverWith({}).prepare()).reasons.join(), /does not run in a pod/)
    cluster.trouble.forbidden = true
    assert.match((await driverWith(cluster.env).prepare()).reasons.join(), /403: jobs.batch is forbidden/)
    delete cluster.trouble.forbidden
    cluster.trouble.image = 'ErrImagePull'
    assert.match((await driverWith(cluster.env).prepare()).reasons.join(), /ErrImagePull: no such image/)
    delete cluster.trouble.image
    assert.equal(cluster.jobs.size, 0)
  })

  test('SAND-1: a connection that is busy at the end does not get into the files that come back', async (t) => {
    const place = await temporaryFolder(t)
    const proxy = createServer((socket) => {
      const pump = () => {
        while (socket.writable && socket.write(Buffer.alloc(16_384, 'x')));
      }
      socket.on('error', () => undefined)
      socket.on('drain', pump)
      pump()
    })
    t.after(() => proxy.close())
    const socketPath = join(place, 'egress.sock')
    await new Promise<void>((resolve) => proxy.listen(socketPath, resolve))
    const script = `
      const { connect } = require('node:net')
      const { writeFileSync } = require('node:fs')
      connect(3128, '127.0.0.1').once('data', () => {
        for (const name of ['one', 'two', 'three']) writeFileSync(name, Buffer.alloc(3_000_000))
        process.exit(0)
      })`
    const workspaceOut = join(place, 'out')
    const command = ['node', '-e', script] as const
    const egress = { socketPath, caPem: '' }
    const result = await driver.run({ ...spec(), command, egress, workspaceOut }, {})
    assert.equal(result.exitCode, 0, result.stderrTail)
    for (const name of ['one', 'two', 'three'])
      assert.ok((await readFile(join(workspaceOut, name))).equals(Buffer.alloc(3_000_000)), name)
  })

  test('SAND-2: what it cannot give is refused, not left out', async () => {
    await assert.rejects(driver.run({ ...spec(), readOnly: ['/usr'] }, {}), { code: 'sandbox.failed' })
  })
})

test('SAND-2: the example gives the rights that the driver uses, and lets no packet in or out', async () => {
  const file = new URL('../../../examples/kubernetes/sandbox.yaml', import.meta.url)
  const objects = parseAllDocuments(await readFile(file, 'utf8')).map((one) => one.toJS())
  const kinds = new Map(objects.map((one) => [one.kind, one]))
  assert.deepEqual(
    kinds.get('Role').rules.map((rule: Record<string, string[]>) => [rule['resources'], rule['verbs']]),
    [
      [['jobs'], ['create', 'list', 'delete']],
      [['pods'], ['list']],
      [['pods/attach'], ['get', 'create']],
    ],
  )
  assert.deepEqual(kinds.get('NetworkPolicy').spec, { podSelector: {}, policyTypes: ['Ingress', 'Egress'] })
  const { labels } = kinds.get('Namespace').metadata
  assert.equal(labels['pod-security.kubernetes.io/enforce'], 'restricted')
})

test('SAND-2: the manifest asks for what the restricted Pod Security Standard wants', () => {
  const spec = { id: 'one', command: ['true'] as const, env: {}, limits: testLimits }
  const job = jobFor({ spec, name: 'keyward-one', label: 'here', user: 1_900_000_001, image: 'x', guest: '' })
  const pod = job.spec?.template.spec
  const [container] = pod?.containers ?? []
  assert.equal(pod?.containers.length, 1)
  assert.equal(pod?.automountServiceAccountToken, false)
  assert.equal(pod?.securityContext?.runAsNonRoot, true)
  assert.deepEqual(pod?.securityContext?.seccompProfile, { type: 'RuntimeDefault' })
  for (const key of ['hostNetwork', 'hostPID', 'hostIPC', 'serviceAccountName'] as const)
    assert.equal(pod?.[key], undefined)
  assert.deepEqual(container?.securityContext?.capabilities, { drop: ['ALL'] })
  assert.equal(container?.securityContext?.allowPrivilegeEscalation, false)
  assert.equal(container?.securityContext?.readOnlyRootFilesystem, true)
  assert.deepEqual(
    pod?.volumes?.map(({ emptyDir }) => emptyDir?.medium),
    ['Memory'],
    'no volume but memory',
  )
  assert.deepEqual(container?.resources?.limits?.['memory'], container?.resources?.requests?.['memory'])
  assert.equal(job.spec?.backoffLimit, 0)
  assert.ok((job.spec?.ttlSecondsAfterFinished ?? 0) > 0)
  assert.ok((job.spec?.activeDeadlineSeconds ?? 0) > testLimits.wallSeconds)
})
