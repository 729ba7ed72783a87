import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDraws } from '../../test/support/draws.ts'
import { filterRules } from './seccomp.ts'
import { seccompProfile } from './seccomp-profile.ts'

const wholeWord = 0xffff_ffff

/** What an engine makes of the rules of one call: the first that matches. Registers have 64 bits. */
function verdictOf(name: string, registers: readonly bigint[]): string | number {
  const profile = seccompProfile('x64')
  for (const { names, action, errnoRet, args = [] } of profile?.syscalls ?? []) {
    const holds = args.every(({ index, value, valueTwo = 0, op }) => {
      const register = registers[index] ?? 0n
      if (op === 'SCMP_CMP_EQ') return register === BigInt(value)
      if (op === 'SCMP_CMP_LE') return register <= BigInt(value)
      if (op === 'SCMP_CMP_GT') return register > BigInt(value)
      return (register & BigInt(value)) === BigInt(valueTwo)
    })
    if (names.includes(name) && holds) return errnoRet ?? action
  }
  return profile?.defaultErrnoRet ?? ''
}

const allowed = 'SCMP_ACT_ALLOW'
const { errno, terminalRequests, socketFamilies, newNamespaceFlags } = filterRules

test('SAND-2: the profile for engines refuses what the filter refuses, and lets no call be in two minds', () => {
  for (const name of filterRules.forbidden) assert.equal(verdictOf(name, []), errno.EPERM, name)
  for (const name of filterRules.absent) assert.equal(verdictOf(name, []), errno.ENOSYS, name)
  assert.equal(verdictOf('read', []), allowed)
  assert.equal(verdictOf('a_call_of_tomorrow', []), errno.ENOSYS)
  const plain =
    seccompProfile('x64')
      ?.syscalls.filter(({ args }) => !args)
      .flatMap(({ names }) => names) ?? []
  assert.equal(new Set(plain).size, plain.length, 'a call stands in one list only')
  for (const name of ['clone', 'ioctl', 'socket']) assert.ok(!plain.includes(name), name)
})

test('SAND-2: a request to a terminal is known by its lower half, whatever the upper half holds', () => {
  const draws = createDraws('terminal requests')
  for (const request of terminalRequests) {
    for (const high of [0n, 1n << 32n, 0xffff_ffffn << 32n])
      assert.equal(verdictOf('ioctl', [0n, high | BigInt(request)]), errno.EPERM)
    for (const near of [request - 1, request + 1])
      if (!terminalRequests.includes(near)) assert.equal(verdictOf('ioctl', [0n, BigInt(near)]), allowed)
  }
  for (let round = 0; round < 500; round++) {
    const request = draws.below(wholeWord)
    assert.equal(
      verdictOf('ioctl', [0n, BigInt(request)]),
      terminalRequests.includes(request) ? errno.EPERM : allowed,
    )
  }
})

test('SAND-2: new namespaces are refused one by one and together; threads and processes are not', () => {
  assert.equal(verdictOf('clone', [17n]), allowed)
  assert.equal(verdictOf('clone', [0x3d0f00n]), allowed)
  for (let bit = 0; bit < 32; bit++) {
    const flag = 2 ** bit
    if ((newNamespaceFlags & flag) !== 0) assert.equal(verdictOf('clone', [BigInt(flag) | 17n]), errno.EPERM)
  }
})

test('SAND-2: sockets are local or IP, and of ordinary protocols', () => {
  for (let family = 0; family < 64; family++) {
    const expected = socketFamilies.includes(family) ? allowed : errno.EAFNOSUPPORT
    assert.equal(verdictOf('socket', [BigInt(family), 1n, 6n]), expected, String(family))
  }
  for (const family of socketFamilies)
    assert.equal(verdictOf('socket', [BigInt(family), 1n, 132n]), errno.EPROTONOSUPPORT)
  assert.equal(verdictOf('socket', [(1n << 32n) | 16n, 3n, 0n]), errno.EAFNOSUPPORT)
})

test('SAND-2: there is no profile where there is no filter', () => {
  assert.equal(seccompProfile('riscv64'), undefined)
  assert.deepEqual(seccompProfile('arm64')?.architectures, ['SCMP_ARCH_AARCH64'])
})
