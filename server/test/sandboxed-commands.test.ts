// Commands of tasks in real sandboxes: several secrets in one, values that never go over a network, and files that are handed on.
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Secret } from '../src/core/index.ts'
import { apiHost, newValue, openUpstream } from './support/egress.ts'
import { mayBeMissing } from './support/needed.ts'
import { openTaskWorld } from './support/task-world.ts'
import { temporaryFolder } from './support/world.ts'

const shell = (script: string): [string, ...string[]] => ['/bin/sh', '-ec', script]

test('SAND-1, LEND-1: commands of one task', async (t) => {
  const world = await openTaskWorld(t)
  if (world.skip !== undefined) return t.skip(mayBeMissing(world.skip))

  await t.test('LEND-1: one command has several secrets, each good for its own place', async () => {
    const values = { one: newValue(), two: newValue() }
    const seen: (string | undefined)[][] = []
    const upstream = await openUpstream(t, (request, response) => {
      const { 'x-one': one, 'x-two': two } = request.headers
      seen.push([one?.toString(), two?.toString()])
      response.end('taken')
    })
    const secretPath = await world.keep('pair', values)
    const destinations = [{ host: apiHost, port: 443 }]
    const secretFor = (field: string) => ({
      ...{ secretPath, field, destinations, variable: field.toUpperCase() },
      injection: { kind: 'header' as const, name: `x-${field}` },
    })
    const { field, variable, ...first } = secretFor('one')
    const script = `const headers = process.env.SWAP ? { 'x-one': process.env.TWO } : { 'x-one': process.env.ONE, 'x-two': process.env.TWO }
      console.log(process.env.ONE === process.env.TWO, (await fetch('https://${apiHost}/', { headers })).status)`
    const task = (environment: Record<string, string>) =>
      world.run({
        ...first,
        field,
        variable,
        more: [secretFor('two')],
        environment,
        command: ['node', '--input-type=module', '-e', script],
        route: upstream,
      })
    assert.equal(await task({}), 'false 200\n')
    assert.deepEqual(seen, [[values.one, values.two]])
    await world.end()
    const denied = await task({ SWAP: '1' })
    assert.match(denied, /false [45]\d\d/)
    assert.equal(seen.length, 1, 'a placeholder in the place of another one is not exchanged')
    await world.end()
    const { items } = await world.keyward.lend.page({ limit: 10 })
    assert.deepEqual([...new Set(items.map(({ state }) => state))], ['revoked'])
  })

  await t.test(
    'WORK-1: a command goes on as long as it prints, and what is silent says nothing',
    async () => {
      const beatsOf = async (script: string): Promise<number> => {
        let beats = 0
        const run = world.runnerOf(() => {
          beats += 1
        })
        await run({ title: 'Printing', command: shell(script), environment: {} })
        await world.end()
        return beats
      }
      assert.ok((await beatsOf('echo one; echo two >&2')) >= 2)
      assert.equal(await beatsOf('true'), 0)
    },
  )

  await t.test('LEND-1: two secrets cannot share a variable, nor two logins a kind', async () => {
    const secretPath = await world.keep('twice', { password: newValue() })
    const place = { secretPath, field: 'password', destinations: [{ host: apiHost, port: 443 }] }
    const task = { ...place, command: ['true'] as [string], variable: 'KEY' }
    await assert.rejects(world.run({ ...task, more: [{ ...place, variable: 'KEY' }] }), /variable of its own/)
    const injection = { kind: 'redis' as const, tls: 'none' as const }
    const more = [{ ...place, variable: 'OTHER', injection }]
    await assert.rejects(world.run({ ...task, injection, more }), /each kind of login/)
  })

  await t.test(
    'WORK-3: what one command leaves, the next one has, with small files in place of others',
    async () => {
      const folder = temporaryFolder(t)
      mkdirSync(join(folder, 'src'))
      writeFileSync(join(folder, 'src', 'a'), 'from the folder')
      writeFileSync(join(folder, 'other'), 'not kept')
      const run = world.runnerOf()
      const first = await run({
        title: 'Makes something',
        command: shell('cat src/a src/b > src/made; mkdir src/empty'),
        workspace: { folder },
        files: { 'src/b': ' and from the task' },
        keep: ['src'],
      })
      assert.equal(first.exitCode, 0, first.stderrTail)
      assert.ok(first.artifact)
      const second = await run({
        title: 'Uses it',
        command: shell('ls -A . src; cat src/a > b'),
        workspace: { artifact: first.artifact },
        files: { 'src/a': 'another' },
        read: ['src/made', 'b', 'missing'],
      })
      assert.equal(second.stdoutTail, '.:\nsrc\n\nsrc:\na\nb\nempty\nmade\n')
      const read = [...second.files].map(([path, bytes]) => [path, bytes.toString()])
      assert.deepEqual(Object.fromEntries(read), {
        'src/made': 'from the folder and from the task',
        b: 'another',
      })
      assert.equal(second.artifact, undefined)
    },
  )

  await t.test(
    'SAND-1: a command without places to reach has no network, and one fails with its own code',
    async () => {
      const run = world.runnerOf()
      const { exitCode, stdoutTail } = await run({
        title: 'Looks around',
        command: shell('env | grep -c PROXY || exit 3'),
      })
      assert.deepEqual([exitCode, stdoutTail], [3, '0\n'])
    },
  )

  await t.test(
    'OPS-4: a value that a program has to hold is in a file of its own, and in nothing that it prints',
    async () => {
      const value = newValue()
      const result = await world.runnerOf()({
        title: 'Uses a passphrase',
        command: shell('cat "$HOME/.own/passphrase"; stat -c %a "$HOME/.own/passphrase"'),
        secretFiles: { '.own/passphrase': new Secret(value) },
      })
      assert.equal(result.exitCode, 0, result.stderrTail)
      assert.equal(result.stdoutTail, '[redacted by Keyward]600\n')
      assert.ok(
        (await world.entries('sandbox.started')).every(
          ({ detail }) => !JSON.stringify(detail).includes(value),
        ),
      )
    },
  )
})
