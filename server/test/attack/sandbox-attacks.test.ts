// Attacks from inside a real sandbox of this machine, and each of them once more without the guards that stop it.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, describe, type TestContext, test } from 'node:test'
import { systemClock } from '../../src/core/index.ts'
import { createBubblewrapDriver, findProgram } from '../../src/sandbox/index.ts'
import { mayBeMissing } from '../support/needed.ts'
import { temporaryFolder } from '../support/sandbox/attacker.ts'
import { layBait, tryAll } from './bait.ts'
import { type SandboxAttack, sandboxAttacks } from './sandbox-attacks.ts'
import { type Guard, guards, sandboxWithout } from './sandbox-without.ts'

const later: (() => unknown)[] = []
const cleaned: Pick<TestContext, 'after'> = { after: (clean) => void later.push(clean as () => unknown) }
after(async () => {
  for (const clean of later) await clean()
})

const stateDir = await temporaryFolder(cleaned)
const driver = createBubblewrapDriver({
  clock: systemClock,
  random: Math.random,
  stateDir: join(stateDir, 'sandbox'),
  nodePath: process.execPath,
})
const state = await driver.prepare()
const skip = !state.ready
  ? `this machine gives no namespaces: ${state.reasons.join(' ')}`
  : findProgram('perl', '/usr/bin')
    ? false
    : mayBeMissing('perl makes the calls and is not installed')
const isAsRoot = state.ready && state.mode === 'root'

const bait = skip === false ? await layBait(cleaned) : undefined

// Everything is tried before the first test is declared: the folders go when the last one that is known has ended.
const guarded = bait ? await tryAll(driver, sandboxAttacks, bait) : []

/** By the guards that they need, so that one sandbox without those serves them all. */
function byGuards(): [readonly Guard[], SandboxAttack[]][] {
  const groups = Object.groupBy(sandboxAttacks, ({ guards }) => guards.join(' '))
  return Object.values(groups).flatMap((attacks = []) => {
    const [first] = attacks
    return first && first.guards.length > 0 ? [[first.guards, attacks]] : []
  })
}

const unguarded = isAsRoot ? false : 'only root has a user to spare whose sandbox may be left unguarded'
const unguardedSkip = skip || unguarded
const open = new Set<SandboxAttack>()
if (unguardedSkip === false && bait)
  for (const [without, attacks] of byGuards()) {
    const names = await tryAll(await sandboxWithout(cleaned, without), attacks, bait)
    for (const attack of attacks) if (names.includes(attack.name)) open.add(attack)
  }

describe('attacks from inside a sandbox', { skip }, () => {
  for (const { name } of sandboxAttacks)
    test(`SAND-2: what fails in a sandbox: ${name}`, () => assert.ok(!guarded.includes(name)))
})

describe('the same attacks, unguarded', { skip: unguardedSkip }, () => {
  for (const [without, attacks] of byGuards()) {
    const words = without.map((guard) => guards[guard]).join(' and ')
    for (const attack of attacks)
      test(`SAND-2: what gets through without ${words}: ${attack.name}`, (t) => {
        if (attack.dependsOnKernel && !open.has(attack)) t.skip('this machine refuses it by itself')
        else assert.ok(open.has(attack))
      })
  }
})
