// Version 2 against folders that look like it: its interface is files, and this says what is written into which. What the
// kernel makes of groups is tested by the attacks in bubblewrap.test.ts, with the version that the machine has.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '../../test/support/sandbox/attacker.ts'
import { createCgroup, findCgroups, usageOfProcess } from './cgroups.ts'

async function machine(t: TestContext, ownPath: string, groups: Record<string, Record<string, string>>) {
  const folder = await temporaryFolder(t)
  const top = join(folder, 'mounted')
  for (const [path, files] of Object.entries(groups)) {
    await mkdir(join(top, path), { recursive: true })
    for (const [name, text] of Object.entries(files)) await writeFile(join(top, path, name), text)
  }
  await writeFile(join(folder, 'mountinfo'), `30 20 0:26 / ${top} rw - cgroup2 cgroup2 rw\n`)
  await writeFile(join(folder, 'cgroup'), `0::${ownPath}\n`)
  return { folder, top, text: (file: string) => readFile(join(top, file), 'utf8') }
}

const able = { 'cgroup.controllers': 'cpu io memory pids\n' }

test('SAND-1: a delegated group that hands its controllers down is used as it is', async (t) => {
  const files = { ...able, 'cgroup.subtree_control': 'cpu memory pids\n', 'cgroup.procs': '' }
  const { folder, top } = await machine(t, '/service', { service: files })
  const base = await findCgroups(folder)
  assert.equal(base.version, 2)
  assert.equal(base.folders.memory, join(top, 'service'))
})

test('SAND-1: what is not handed down yet is asked for', async (t) => {
  const files = { ...able, 'cgroup.subtree_control': 'cpu\n', 'cgroup.procs': '' }
  const { folder, text } = await machine(t, '/service', { service: files })
  await findCgroups(folder)
  assert.equal(await text('service/cgroup.subtree_control'), '+memory +pids')
})

test('SAND-1: without the memory controller there are no groups, and nothing is left', async (t) => {
  const files = { 'cgroup.controllers': 'hugetlb\n', 'cgroup.procs': '1\n2\n', 'cgroup.type': 'domain\n' }
  for (const path of ['service', '.']) {
    const { folder, top } = await machine(t, path === '.' ? '/' : `/${path}`, { [path]: files })
    assert.deepEqual((await findCgroups(folder)).folders, {})
    assert.ok(!existsSync(join(top, path, 'keyward-server')))
  }
})

test('SAND-1: limits and counters of version 2', async (t) => {
  const parent = await temporaryFolder(t)
  const folders = { memory: parent, pids: parent, cpu: parent, cpuacct: parent }
  const group = await createCgroup({ version: 2, folders }, 'keyward-x', { memoryBytes: 1000, processes: 7 })
  const own = join(parent, 'keyward-x')
  const read = (name: string) => readFile(join(own, name), 'utf8')
  assert.deepEqual(group.joinFiles, [join(own, 'cgroup.procs')])
  assert.equal(await read('memory.max'), '1000')
  assert.equal(await read('memory.swap.max'), '0')
  assert.equal(await read('memory.oom.group'), '1')
  assert.equal(await read('pids.max'), '7')
  assert.deepEqual(await group.usage(), {
    outOfMemory: false,
    outOfProcesses: false,
    cpuSeconds: undefined,
    memoryBytes: undefined,
    anonymousBytes: undefined,
    processes: undefined,
  })
  await writeFile(join(own, 'memory.events'), 'low 0\nmax 9\noom 1\noom_kill 1\n')
  await writeFile(join(own, 'pids.events'), 'max 3\n')
  await writeFile(join(own, 'cpu.stat'), 'usage_usec 2500000\nuser_usec 1\n')
  await writeFile(join(own, 'memory.current'), '700\n')
  await writeFile(join(own, 'memory.stat'), 'anon 400\nfile 300\ninactive_anon 5\n')
  await writeFile(join(own, 'pids.current'), '5\n')
  assert.deepEqual(await group.usage(), {
    outOfMemory: true,
    outOfProcesses: true,
    cpuSeconds: 2.5,
    memoryBytes: 700,
    anonymousBytes: 400,
    processes: 5,
  })
  for (const name of await readdir(own)) await rm(join(own, name))
  await group.remove()
  assert.ok(!existsSync(own))
})

test('SAND-1: a process that ends while its groups are read is not charged with what the whole machine used', async (t) => {
  const folder = await temporaryFolder(t)
  const names = ['memory', 'pids', 'cpuacct']
  for (const name of names) await mkdir(join(folder, name, 'container-mark'), { recursive: true })
  await mkdir(join(folder, 'self'))
  await mkdir(join(folder, '7'))
  const mounts = names.map((name) => `30 20 0:26 / ${join(folder, name)} rw - cgroup cgroup rw,${name}\n`)
  await writeFile(join(folder, 'self/mountinfo'), mounts.join(''))
  await writeFile(join(folder, '7/cgroup'), '3:memory:/container-mark\n2:pids:/container-mark\n1:cpuacct:/\n')
  await writeFile(join(folder, 'memory/container-mark/cgroup.procs'), '7\n')
  await writeFile(join(folder, 'cpuacct/cpuacct.usage'), '90000000000\n')
  const usage = await usageOfProcess(7, 'mark', folder)
  assert.ok(usage)
  assert.equal((await usage())?.cpuSeconds, undefined)
  await writeFile(join(folder, '7/cgroup'), '3:memory:/\n2:pids:/\n1:cpuacct:/container-mark\n')
  assert.equal(await usageOfProcess(7, 'mark', folder), undefined)
})
