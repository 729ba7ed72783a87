// The script of action.yml, run as GitHub runs it, with what npm would have installed.
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { createDraws } from './support/draws.ts'
import { type Outcome, runToEnd } from './support/keyward-command.ts'
import { temporaryFolder } from './support/world.ts'

const draws = createDraws('action')
const repository = fileURLToPath(new URL('../..', import.meta.url))

test('DISC-4: the GitHub action annotates, writes SARIF, and fails when something is found', async (t) => {
  const root = temporaryFolder(t)
  const [workspace, temp, bin] = ['workspace', 'temp', 'bin'].map((name) => join(root, name))
  assert.ok(workspace && temp && bin)
  for (const folder of [workspace, bin, join(temp, 'keyward', 'node_modules')])
    mkdirSync(folder, { recursive: true })
  symlinkSync(join(repository, 'server'), join(temp, 'keyward', 'node_modules', 'keyward'))
  writeFileSync(join(bin, 'npm'), '#!/bin/sh\npwd\n')
  chmodSync(join(bin, 'npm'), 0o755)

  const { inputs, runs } = parse(readFileSync(join(repository, 'action.yml'), 'utf8'))
  const [step] = runs.steps
  const run = (given: Record<string, string>): Promise<Outcome> => {
    const values = Object.entries<string>(step.env).map(([name, text]) => {
      const [, input = ''] = /^\$\{\{ inputs\.([a-z-]+) \}\}$/.exec(text) ?? []
      assert.ok(input in inputs, text)
      return [name, given[input] ?? inputs[input].default]
    })
    const env = {
      ...Object.fromEntries(values),
      PATH: `${bin}:${dirname(process.execPath)}:${process.env['PATH']}`,
      HOME: root,
      GITHUB_WORKSPACE: workspace,
      RUNNER_TEMP: temp,
    }
    // As GitHub runs a step whose shell is bash.
    return runToEnd(
      'bash',
      ['--noprofile', '--norc', '-eo', 'pipefail', '-c', step.run],
      { cwd: workspace, env },
      '',
    )
  }

  writeFileSync(join(workspace, 'a.txt'), 'Nothing here.\n')
  const clean = await run({ sarif: 'a.sarif' })
  assert.deepEqual([clean.code, clean.stdout.trim()], [0, temp], clean.stderr)
  assert.deepEqual(JSON.parse(readFileSync(join(workspace, 'a.sarif'), 'utf8')).runs[0].results, [])
  const value = draws.vaultToken()
  writeFileSync(join(workspace, 'a.txt'), `token: ${value}\n`)
  const found = await run({ sarif: 'a.sarif', path: '.' })
  assert.equal(found.code, 1, found.stderr)
  assert.match(found.stdout, /^::error file=a\.txt,line=1,/m)
  assert.ok(!found.stdout.includes(value))
  assert.equal(JSON.parse(readFileSync(join(workspace, 'a.sarif'), 'utf8')).runs[0].results.length, 1)
  const hostile = await run({ path: '$(touch ran); .', history: 'false' })
  assert.equal(hostile.code, 2)
  assert.match(hostile.stderr, /\$\(touch ran\)/)
})
