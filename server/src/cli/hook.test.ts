import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createDraws } from '../../test/support/draws.ts'
import { openShell } from '../../test/support/keyward-command.ts'

const draws = createDraws('hook')
const newToken = draws.vaultToken
const identity = ['-c', 'user.name=Test', '-c', 'user.email=test@example.invalid']

function repository(home: string): { folder: string; git(...args: string[]): number; said(): string } {
  const folder = join(home, 'shop')
  mkdirSync(folder)
  let words = ''
  const git = (...args: string[]): number => {
    const env = { PATH: process.env['PATH'], HOME: home }
    const { status, stderr } = spawnSync('git', ['-C', folder, ...identity, ...args], {
      env,
      encoding: 'utf8',
    })
    words = stderr
    return status ?? -1
  }
  assert.equal(git('init', '-q'), 0)
  return { folder, git, said: () => words }
}

test('DISC-4: the hook keeps a secret out of a commit, and lets everything else in', async (t) => {
  const { keyward, home } = openShell(t)
  const { folder, git, said } = repository(home)
  const installed = await keyward(['hook', 'install', 'shop'])
  assert.deepEqual([installed.code, installed.stderr], [0, ''])
  writeFileSync(join(folder, 'readme.md'), 'Nothing here.\n')
  git('add', '.')
  assert.equal(git('commit', '-qm', 'first'), 0, said())
  const value = newToken()
  writeFileSync(join(folder, 'readme.md'), `Nothing here.\ntoken: ${value}\n`)
  assert.equal(git('commit', '-qam', 'second'), 1)
  assert.match(said(), /readme\.md:2/)
  assert.match(said(), /keyward: not committed/)
  assert.ok(!said().includes(value))
  writeFileSync(join(folder, 'other.md'), 'Nothing either.\n')
  git('add', 'other.md')
  assert.equal(git('commit', '-qm', 'third'), 0, said())
  assert.equal(
    git('commit', '-qm', 'fourth', 'readme.md'),
    1,
    'a commit of chosen files has an index of its own',
  )
})

test('DISC-4: a hook that was there runs first, and is put back', async (t) => {
  const { keyward, home } = openShell(t)
  const { folder, git } = repository(home)
  const hook = join(folder, '.git', 'hooks', 'pre-commit')
  mkdirSync(join(folder, '.git', 'hooks'), { recursive: true })
  const earlier = '#!/bin/sh\ntouch ran; test ! -e refuse\n'
  writeFileSync(hook, earlier)
  chmodSync(hook, 0o755)
  for (const _ of [1, 2]) {
    const { code, stdout } = await keyward(['hook', 'install', 'shop', '--json'])
    assert.deepEqual([code, JSON.parse(stdout).earlier], [0, true])
  }
  writeFileSync(join(folder, 'a.txt'), 'a\n')
  git('add', 'a.txt')
  assert.equal(git('commit', '-qm', 'first'), 0)
  assert.ok(existsSync(join(folder, 'ran')))
  writeFileSync(join(folder, 'refuse'), '')
  assert.equal(git('commit', '-qm', 'second', '--allow-empty'), 1)
  assert.equal((await keyward(['hook', 'uninstall', 'shop'])).code, 0)
  assert.equal(readFileSync(hook, 'utf8'), earlier)
  assert.equal((await keyward(['hook', 'uninstall', 'shop'])).code, 1)
  assert.equal(readFileSync(hook, 'utf8'), earlier)
})

test('DISC-4: hooks that other repositories use too are left alone', async (t) => {
  const { keyward, home } = openShell(t)
  const { folder, git } = repository(home)
  mkdirSync(join(home, 'all-hooks'))
  git('config', 'core.hooksPath', join(home, 'all-hooks'))
  const { code, stderr } = await keyward(['hook', 'install', 'shop'])
  assert.equal(code, 2)
  assert.match(stderr, /which other repositories use too\. Add to its pre-commit: keyward scan --staged/)
  git('config', 'core.hooksPath', '.hooks')
  assert.equal((await keyward(['hook', 'install', 'shop'])).code, 0)
  assert.ok(existsSync(join(folder, '.hooks', 'pre-commit')))
  assert.equal((await keyward(['hook', 'install', home])).code, 2)
})

test('DISC-4: the hook runs in a worktree', async (t) => {
  const { keyward, home } = openShell(t)
  const { folder, git } = repository(home)
  git('commit', '-qm', 'first', '--allow-empty')
  git('worktree', 'add', '-q', '../other')
  assert.equal((await keyward(['hook', 'install', 'other'])).code, 0)
  assert.ok(existsSync(join(folder, '.git', 'hooks', 'pre-commit')))
  const other = join(home, 'other')
  writeFileSync(join(other, 'a.txt'), `token: ${newToken()}\n`)
  const env = { PATH: process.env['PATH'], HOME: home }
  execFileSync('git', ['-C', other, 'add', '.'], { env })
  const { status } = spawnSync('git', ['-C', other, ...identity, 'commit', '-qm', 'second'], { env })
  assert.equal(status, 1)
})
