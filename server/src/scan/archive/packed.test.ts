// What was packed by xz, bzip2, ar, cpio and rpm. The packed bytes below are a text that is made anew here, packed once by
// `xz -9e` and `bzip2 -9`, so that nobody needs those programs.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { createDraws } from '../../../test/support/draws.ts'
import { unpackBzip2 } from './bzip2.ts'
import { packingOf } from './contents-kind.ts'
import { archiveProblem, filesInside, limitsFor } from './look-inside.ts'
import { unpackXz } from './xz.ts'

const byXz = [
  '/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4B7cB9ddABgICwdRyMzvH+WbfoWN1ySBlYcIjR2XJMXbZzO71yIAvYaG5z1Q6fXyQWZC',
  'uTBoLl6gCpz/JYNIjmMLAmnChcgOcTRd+dtWHMqlHlP5z5pVK0t9uze9uUilqnyVWFkBwmZcU5GVFp/Bf+hi4Nqtpkm1Dn+P3OuW',
  'y6DFOjJs+FzLwgBJoEsLOXgP+XV1Fw7oXHXpFGA3W6u8z3Y61+J2+RXEHSXkAmzqTf+hg5A0OecPAOVtKMxiXthypVDyybEkwIVS',
  'CjbJsBLdo05P5+TbaBuRI2KMhLCteam2O3FgP/0dFwVCYVqXwos53LWQh09Y+NSnM6/rvd8wjgtZQe/g1UEKPKOxH7RxkH2+8Wy1',
  'kYM0+P1W0F3vbbx1b0HgOAXutizkcCQhfNWx1CdQPNnCTaFZFiBluM/qhHRc0iUFtSfHfAe3aetPwVx5+i1ZLx+jiy+6LX5nU6ny',
  'e+08W4uumyvQFU+nCCC7ABXVs6wcomZvQuh4KcnXdsOJEQckB7B92izGvX/CnVglzpzxFJ4hM/7sBFK/Wcho0ML7QsYfEzYRbg7A',
  'ofkIKdNNJ0SmzqSWe2EC/OkBdsgh7DkMeisuzufKzcTQNerh/uIcIUkn7yfSRDe+SHpzLIV12NdBpmW6SUDvWZBFOHXYyGrPVoFh',
  '/1U4fe7d9wVdBZG66i0xn7mx4Nl5PJ1GWXOOor8OLH2fiy2wvGEtCiXcrbZPakqMaKRI3Xi75th5deXFRP/hue8L/rUeCf2tenyj',
  'eFAHlF/nFARljepjm7x2u8vDwQXOXhknrXBJuN/E2bTdLLFI099LF74TdT/oZyBmI/XxjwrDMfeRz1erHUm6z4CxIkDFh7VkW0wp',
  'ONHVex05PHWrsE0PMoJ7Jok8jAYq1N3JORo2Cn6pr774gWHN2kl5EpJAMMTfYhpmf6lhkel8EREeOhUOzDjiXThi24YhUJI1VyMx',
  '310bU0UYqi6QAA+bNNlY/d7P/O8MJ0IIn9zbDmVpwBY+iE8iymxJL3kJwgrT0giXcwgceIGrAmWLy+3X7Zm/XBZCwalULwhiTzBQ',
  '9r5pTPUG/ff1nesCs8OTn6uPLHn3Rc8fhuZq5c+qfv/vUHSN3Fgt4qQjTOZo8aLfMKI2lJjbLpkfJVgd3a+yuRUOVI+fNS0U3FPf',
  'BvRRPCJ3v1j9DeEYuP9LmbTQ9zpB8usozxeZEpROwS6qlsAuBKU5yEusDQQe9q4m8dLdFCL1XdQ+ffXF/csv5kJS9uFaX14yxjtP',
  'Bml710W2iAqZSmHudrkGKohDTVDdC2hpfj6kEy8g7AHqxyBNUIcOKb2KsAg8ivks9sbzVack+5B9mkKhi3jc4VOUDJdwcky1wM7/',
  'TSM6lhARquDQRs2Dicxgigt7migdhaZjPUFImiDIBavneOEj5QchPrYrNnT5cQm/fdLwRL/22CtFTbztB5zIVk7o4OPE8ivvizAj',
  'JzYz6Yuv7R0yqg2huLRgoMDldrWmKoL940UfogSaSYGhtl37++3dcN452AaZmWcKRMMwaFs0khG+RuzNLVUHd/XNO6QZ4UORBQ/3',
  '3vRz/YYnvDkg2YlIzltQwreQeXStPtccQaA0U0Wrx6fSEFgJENQleIZgQBMh3f00Jdq9dZ85cLxPBsyPZhXJxvQADFXOcvuDkxKr',
  'PZmiRYGYa1tkG1+YNZ0u3mCdu1fWX9dhn0IUjEmBj6XEyAX4pJ9JNaepk4noZNLvDSiAS5aBTPfJBRiIx4gZFyunHGenl62VBMtf',
  's684zhbgnbb8LvjeJ0oD36WG9e1WmVA5fJJn6pCQsr9Se6sPlp5axfe8a/wgE3OeIcZ6/BSKTtLJOKxIiIXsEQvC3wq+PBJEarm7',
  'GAKC8N7Cy4Kd0fUh8I4AdM3Idig+7OvIVwMoLyulSaeggQDYJjn/DfHLYgUevg17TEkZ8zaDp2C7CMlpBd8WFhVp795zLp3/BUhe',
  'E/7NfDd48DnenzvOKEpu9KgfkkZIfTBLXI02yevD49H8MNNjFDfrGz7bGQDNJZmTyoLdWeE0KplFhEaTJFBTdtapRgSbAaOOC7mF',
  'Ud/buOAZxpKUBe5+YMMIdT63K9Igi6vLaxmHM7FXKblM6Pq9k63uHZz8KRyRV60UzahK0p2Q0XC6xrPAFrOwuCP2hC0YlqwT155e',
  'xP3oOlew8mcK/RF/yGxszXExjIB5Xjb+/3+J4LFjW1q4spcOupMSFFH3M2gD5RHBd3oSxPRbcG311DKA8lWjNUgt1/u9bno2vSbz',
  'mDTSrA5Np6lwEkY1MgrmOxzFIl0xVjz8v5poPdsjw6SKngBlEdUq0FiWlPvUtFNrJCF5UsOOhdMF4BfMDsMRKY+7er+4HLR1tW3i',
  '6QsF5eRN21dmXX5Htaa+6fu5Hz5aANHXSst+r2i70Z5f0K/9UX/BOXQKjKQUfrfC9iOueDUY1h6eMKIHD0/HquITytWbE4GMI0rQ',
  'OeqhoL15iVUSc0zXJGtAC4zCDWO+x9viiyLUdlYIWwlwHg6MsqSjQCGal1BeDCFGk/epxo7NoMWtb6wx5Q69L59n7l/hBktffVYJ',
  'irNHDsSN1Nk+Wp6S2nZNUsLUTzSWT+mWhUolKq1drkkeRCnzhcawZzsi6luerss3v3k8WuC+tmsH35DUMhD3KwkXbfyfvW3ip6nf',
  'XWXVAhAFAVFi+3ss1wAAgzB8gll3JwMAAfMP3T0AADw/jiqxxGf7AgAAAAAEWVo=',
].join('')
const byBzip2 = [
  'QlpoOTFBWSZTWfc9hi0ABdvfgHwQQAN/4jM/lKAv///gYAk4AAQAB8OeVXWtttvvBhEIIp+IRGGlVAHqaAAAANAIqf4kwVJMmCBo',
  '0DBMRoYIBqeBVKIwTRgTIwmjRgCGAabKohlRoAAaAAAAGgZUNJptTQ0GmmTI09Q09R6TEDTQEKkUymTINqeoxNGIyD1ANqaZqboA',
  'OcHLE50THJELoXGdSiWYSS3i8yseQkw85TncJSE29DEyYXCrnJoExowlZDlG3TiA4KqNhRuOVgkUnJRO7lnILKS4SIqmMzeOJMy2',
  'KMou58xGKDRNicQJ4ijiC1quAqjKc8yU6Knoh0JNKMwhjzQEcCaOmg0dCSDJhgdSGZRzjkm1DtoqdldiZS1jzTZhhhpCwRKWzc4o',
  'h9vf6fSvcUW0PdF/9JRNMiT0k4uEGtYu5BbXgRJlmGWCOFcpmeuexhQqr5HiUhEELWTNgnrQ5LK48HECahbWKMnDCwCTdA9cbBFD',
  'OUimRsolIMoRcRITkgeUBcrApbKCRzBD4iCQQsW6hBKwCUq01NdaU9lxTMYusGRELQSVlGMS7QFmFgaPXNZAJt48ZCibIhpgxCyB',
  'vE8xHJFIg4SkFHHzu+Hu/p32970j06t6WLy17XGNZ0kdIGjHUIqKMzEOpz33itJQX1VNOazpUE9MCmHfwa3nIyqZWNdXp+3tesVo',
  'htguCwQKc8BDbt3gbfOjUi+fCx4S2WJA05V8cbsLhyNGDB1aasK7vN7RnWdNwM7AByndwWnIHmMIoHA3nPnlIoa5uYlSRIhhLlu+',
  'abXAuJNrlDkjub3sb2srd3Zdm3OBtDdPzhKKcdb8rTVW5fcueTe7tZJ6rGSdFkEyNUF1HUqZYd1jLLa5QqycB3mGqTrHQ6yN7fbG',
  'DDmKRl2kLXNaFah4qoag12dG02rGhs7STbTO8MmLotORfa1zbwybdXtabZ5hs07JgxLAFJEENs7z5nfNLcPayU2DUmZ1HnmmyxPG',
  'DukWCLE7d0w3e7bHnI09U7qrXsrK468bNaVVxOXhk7R3vXOttw7nZmY4Zm0X49xF8Y0WqiBTQmAKMDN+x2BvEEafUM9TJvVkWG+c',
  'pDbGn5EAJ4mDLoAi1BstSDarkAbZ5A4lfPTjQ+lUR9iURExAUxUlFRURJSURJREtJSxCUFITDRSqjTDEBDNMREE0VFNRVMEUNFNE',
  'SijIrMzeUxYvaz1w7dbdxjcRLmtRc02vc941QbsnTEgEkgFiWBAJJALhaeKE5MFrqLy7qxbrvx2200deW3HUu/DUmSo3MlFmQFzI',
  '0SZFGzJaJMlomZKrMjRJk235cdtrvktOXbZkU+SMyoANZOgp1pzkBtjEFFtjIKZkosyVXMgDZkKJMlFzJRcyIlBtjPYa7oQMu3bH',
  'mUtO7p7jRmKVvlk0kyIsmCsyNLMlFmQRsyAsmCk3TEFFumRKDdN9n5cs3feT4u14+GOVqTdom5Dbblw5HNvjw2NN4jKoDaNVotRV',
  'QpYdaYhXoBrrKFFPLGaxoycfFVLGibBSVYKCtVFgojAfRpnDfa8U2XR02xPc2vEiJF8RiVAjuZtNyigCkCmBTBIpIJIApAqRpNLZ',
  'Igy1TYxWaNG4mxLVYRpwDfeC1G1ZVlWVVVqovQzTXhre488ETbBhXi0zMX6i7W7vayx4gkEUkkUUQkiUiUgUxSKSmzcRqmGVWSz5',
  'p4mKeK2K8tdLs3XhppvyopRosVAVWVaKtNudEVLUpHhOeJf2/qyxOZk3vtQQAfQAI5AkjGSAdqo4FD6gLvCpmivWqOAEzVHrVB3C',
  'pr3jDVETRRUVUVFJFJRVTMQVVLBFEKmwUJUdiA4AA7kB9ao5CDt08CodyA+YBNuAE1Kh+RU4vJxAL3oDviDpFZZmSZrkzMMyTNPp',
  '/GaE7DjcbRiQoBgNIKFHHBuANbLKJLSXGhFLAxLAhLZSjEy5YSkpllRCxiVQltiLAi2IwFqEstq4VXGLFjLLHHjIiKYipKKqIolg',
  'gmYqAiKiFpJnVID360B1Ap5QU2btSo7gUzVHflR4RQkQbJMzo6fNnNL360lJWwCtFuAylxpAGsCNCtCIRQqSqqFrS2lpK0lraWWW',
  'NiXFIIiy1wBstapjLVSWwYymRlLjGVYICQcssZZRoQR0CpgEZFeFUc8wBfl7fnrBT/8ENMEUzQUkVAVSVLM0ERMRVNyeIu5IpwoS',
  'HuewxaA=',
].join('')

function packedText(): string {
  const draws = createDraws('packed texts')
  const token = draws.vaultToken()
  const words =
    'key value secret vault lease token agent proxy audit chain seal scan find lend run task'.split(' ')
  const word = (): string => words[draws.below(16)] ?? ''
  const lines = Array.from(
    { length: 400 },
    (_, at) => `${at} ${word()} ${word()} ${'-'.repeat(draws.below(9))}`,
  )
  lines[333] = `TOKEN=${token}`
  return `${lines.join('\n')}\n`
}

const text = packedText()
const formats = [
  { name: 'xz', packed: Buffer.from(byXz, 'base64'), unpack: unpackXz },
  { name: 'bzip2', packed: Buffer.from(byBzip2, 'base64'), unpack: unpackBzip2 },
]

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function all(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const chunk of chunks) parts.push(Buffer.from(chunk))
  return Buffer.concat(parts)
}

/** Names with their contents, and problems. */
async function listed(name: string, bytes: Buffer, limits = limitsFor(bytes.length)): Promise<string[]> {
  const archive = {
    sizeBytes: bytes.length,
    read: (at: number, length: number) => bytes.subarray(at, at + length),
  }
  const told: string[] = []
  try {
    for await (const met of filesInside(name, archive, limits))
      told.push('problem' in met ? `${met.name}: ${met.problem}` : `${met.name}=${await all(met.body)}`)
  } catch (error) {
    told.push(archiveProblem(error))
  }
  return told
}

for (const { name, packed, unpack } of formats) {
  test(`DISC-1: ${name} is undone, in pieces of any size, and two files put together`, async () => {
    for (const size of [1, 7, 4096])
      assert.equal((await all(unpack(inPieces(packed, size)))).toString(), text)
    assert.equal((await all(unpack(inPieces(Buffer.concat([packed, packed]), 1000)))).toString(), text + text)
    assert.deepEqual(await listed(`a.txt.${name === 'xz' ? 'xz' : 'bz2'}`, packed), [
      `a.txt.${name === 'xz' ? 'xz' : 'bz2'}!a.txt=${text}`,
    ])
  })

  test(`DISC-1: damaged ${name} is told, wherever the damage is, and never goes on without end`, async () => {
    const draws = createDraws(`damaged ${name}`)
    let refused = 0
    for (let round = 0; round < 300; round++) {
      const damaged = Buffer.from(
        packed.subarray(0, round % 3 === 0 ? draws.below(packed.length) : packed.length),
      )
      const at = draws.below(Math.max(1, damaged.length))
      if (round % 3 !== 0) damaged[at] = (damaged[at] ?? 0) ^ (1 << draws.below(8))
      try {
        const out = await all(unpack(inPieces(damaged, 512)))
        assert.ok(out.length <= 2_000_000)
      } catch (error) {
        assert.ok(error instanceof RangeError, String(error))
        refused++
      }
    }
    assert.ok(refused > 60, `${refused} of 300 were refused`)
  })
}

test('DISC-1: what unpacks to too much ends at the limit, in xz and bzip2 as in gzip', async () => {
  for (const { packed } of formats) {
    const many = Buffer.concat(Array.from({ length: 50 }, () => packed))
    const [problem] = (await listed('a', many, { ...limitsFor(many.length), unpackedBytes: 100_000 })).slice(
      -1,
    )
    assert.match(problem ?? '', /it unpacks to more than 0 MB; the rest was not looked through/)
  }
})

test('DISC-1: xz that wants more memory than anybody should give it is told', async () => {
  const [{ packed } = { packed: Buffer.alloc(0) }] = formats
  const greedy = Buffer.from(packed)
  // The block's header: its size, flags, the filter, the size of its properties, the size of the dictionary.
  assert.deepEqual([...greedy.subarray(12, 16)], [2, 0, 0x21, 1])
  greedy[16] = 40
  await assert.rejects(all(unpackXz(inPieces(greedy, 100))), /more than 64 MB of memory/)
})

const member = (name: string, body: string | Buffer): Buffer => {
  const bytes = Buffer.from(body)
  const head = `${name.padEnd(16)}${'0'.padEnd(12)}${'0'.padEnd(6)}${'0'.padEnd(6)}${'644'.padEnd(8)}${String(bytes.length).padEnd(10)}\`\n`
  return Buffer.concat([Buffer.from(head), bytes, Buffer.alloc(bytes.length % 2, 10)])
}
const ar = (...members: Buffer[]): Buffer => Buffer.concat([Buffer.from('!<arch>\n'), ...members])

test('DISC-1: an ar archive is listed, with the long names of GNU and BSD, and what is packed in it', async () => {
  const long = 'a-name-of-more-than-sixteen-letters.txt'
  const archive = ar(
    member('debian-binary', '2.0\n'),
    member('//', `${long}/\n`),
    member('/0', 'long'),
    member('short/', 'odd'),
    member('#1/20', `${'bsd-name.txt'.padEnd(20, '\0')}bsd`),
    member('control.gz', gzipSync('inside')),
  )
  assert.deepEqual(await listed('a.deb', archive), [
    'a.deb!debian-binary=2.0\n',
    `a.deb!${long}=long`,
    'a.deb!short=odd',
    'a.deb!bsd-name.txt=bsd',
    'a.deb!control.gz!control=inside',
  ])
  assert.match((await listed('a', archive.subarray(0, 90))).at(-1) ?? '', /cannot be read to its end|2\.0/)
  const [problem] = await listed('a', ar(Buffer.alloc(60, 65)))
  assert.match(problem ?? '', /its structure is damaged/)
})

const hex = (value: number): string => value.toString(16).padStart(8, '0')
function cpioEntry(name: string, body: string, mode = 0o100644): Buffer {
  const fields = [1, mode, 0, 0, 1, 0, body.length, 0, 0, 0, 0, name.length + 1, 0]
  const head = `070701${fields.map(hex).join('')}${name}\0`
  return Buffer.from(
    head.padEnd(Math.ceil(head.length / 4) * 4, '\0') + body.padEnd(Math.ceil(body.length / 4) * 4, '\0'),
  )
}
const cpio = Buffer.concat([
  cpioEntry('etc', '', 0o40755),
  cpioEntry('./etc/a.env', 'A=1'),
  cpioEntry('TRAILER!!!', ''),
])

test('DISC-1: a cpio archive and an rpm package are listed; the header of a package is read as well', async () => {
  assert.deepEqual(await listed('a', cpio), ['a!etc/a.env=A=1'])
  const header = (store: string): Buffer => {
    const intro = Buffer.alloc(32)
    intro.writeUInt32BE(0x8eade801, 0)
    intro.writeUInt32BE(1, 8)
    intro.writeUInt32BE(store.length, 12)
    return Buffer.concat([intro, Buffer.from(store)])
  }
  const lead = Buffer.alloc(96)
  lead.writeUInt32BE(0xedabeedb)
  const padded = Buffer.concat([header('sig'), Buffer.alloc(5)])
  const rpm = Buffer.concat([lead, padded, header('echo %post'), gzipSync(cpio)])
  const told = await listed('a.rpm', rpm)
  assert.equal(told.length, 2)
  assert.match(told[0] ?? '', /^a\.rpm!header=[\s\S]*echo %post$/)
  assert.equal(told[1], 'a.rpm!payload!etc/a.env=A=1')
  assert.match((await listed('a', rpm.subarray(0, 120))).at(-1) ?? '', /its structure is damaged/)
})

test('DISC-1: texts that begin as a format does are no archives', () => {
  for (const start of ['BZhello', '0707 is a number', '!<archive>', '%PDF is a format'])
    assert.equal(packingOf(Buffer.from(start.padEnd(512))), undefined, start)
})
