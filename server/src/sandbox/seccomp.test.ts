import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seccompFilter } from './seccomp.ts'

type Call = { architecture: number; number: number; values?: number[] }

const x64 = 0xc000_003e
const arm64 = 0xc000_00b7
const answers = new Map([
  [0x8000_0000, 'kill'],
  [0x7fff_0000, 'allow'],
])

/** The kernel's machine for such programs, as far as this filter uses it. */
function answerTo(filter: Buffer, { architecture, number, values = [] }: Call): string {
  const data = Buffer.alloc(64)
  data.writeUInt32LE(number >>> 0, 0)
  data.writeUInt32LE(architecture, 4)
  values.forEach((value, index) => {
    data.writeUInt32LE(value >>> 0, 16 + 8 * index)
  })
  let accumulator = 0
  for (let at = 0; at * 8 < filter.length; at++) {
    const code = filter.readUInt16LE(at * 8)
    const value = filter.readUInt32LE(at * 8 + 4)
    const jump = (holds: boolean) => filter.readUInt8(at * 8 + (holds ? 2 : 3))
    if (code === 0x20) accumulator = data.readUInt32LE(value)
    else if (code === 0x06) return answers.get(value) ?? `errno ${value & 0xffff}`
    else if (code === 0x15) at += jump(accumulator === value)
    else if (code === 0x25) at += jump(accumulator > value)
    else if (code === 0x35) at += jump(accumulator >= value)
    else if (code === 0x45) at += jump((accumulator & value) !== 0)
    else assert.fail(`instruction ${code} is none of the filter's`)
  }
  return 'fell off the end'
}

function filterFor(architecture: string): Buffer {
  const filter = seccompFilter(architecture)
  assert.ok(filter)
  return filter
}

for (const [name, architecture, calls] of [
  ['x64', x64, { read: 0, mount: 165, clone: 56, ioctl: 16, socket: 41 }],
  ['arm64', arm64, { read: 63, mount: 40, clone: 220, ioctl: 29, socket: 198 }],
] as const) {
  test(`SAND-2: on ${name} the filter lets ordinary calls through and stops the others`, () => {
    const filter = filterFor(name)
    const to = (number: number, ...values: number[]) => answerTo(filter, { architecture, number, values })
    assert.equal(to(calls.read), 'allow')
    assert.equal(to(calls.mount), 'errno 1')
    assert.equal(to(435), 'errno 38')
    assert.equal(to(463), 'errno 38')
    assert.equal(to(0x3fff_ffff), 'errno 38')
    assert.equal(to(calls.clone, 0x0100_0011), 'allow', 'a fork')
    for (let bit = 0; bit < 32; bit++) {
      const namespaces = [17, 25, 26, 27, 28, 29, 30]
      assert.equal(to(calls.clone, 2 ** bit), namespaces.includes(bit) ? 'errno 1' : 'allow')
    }
    assert.equal(to(calls.ioctl, 0, 0x5401), 'allow')
    assert.equal(to(calls.ioctl, 0, 0x5412), 'errno 1')
    assert.equal(to(calls.socket, 1, 1, 0), 'allow')
    assert.equal(to(calls.socket, 2, 1, 6), 'allow')
    assert.equal(to(calls.socket, 2, 1, 262), 'errno 93', 'MPTCP')
    assert.equal(to(calls.socket, 16, 3, 0), 'errno 97')
  })
}

test('SAND-2: a call of another architecture or of the x32 ABI kills the process', () => {
  const filter = filterFor('x64')
  assert.equal(answerTo(filter, { architecture: 0x4000_0003, number: 4 }), 'kill')
  assert.equal(answerTo(filter, { architecture: arm64, number: 63 }), 'kill')
  assert.equal(answerTo(filter, { architecture: x64, number: 0x4000_0000 + 39 }), 'kill')
  assert.equal(answerTo(filter, { architecture: x64, number: -1 }), 'kill')
})

test('SAND-2: there is no filter, and so no sandbox, for an architecture that nobody has written one for', () => {
  assert.equal(seccompFilter('riscv64'), undefined)
})
