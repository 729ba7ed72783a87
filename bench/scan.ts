// How fast a folder is scanned: `node bench/scan.ts [MEGABYTES]`. The tree is made from a fixed seed, so every run reads
// the same bytes; gitleaks and kingfisher are timed on it too when they are on the path. Prints JSON.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { argv, memoryUsage, stdout } from 'node:process'
import { createScanner, groupByFingerprint, type RawFinding } from '../server/src/scan/index.ts'

const rounds = 3

/** Numbers from a seed, the same on every machine (xorshift32). */
function createDraw(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

const words =
  'account address amount array async await basket buffer cache catch client config const count customer data date default delete discount email error event export filter final find format from function handler header import index input invoice item key length line list load local logger map message method model module name null number object offset option order output page parse password path pattern payment point price product promise query queue read record region render request response result return route save schema secret select send server service session shop state status stock store string switch table task tax template test throw time token total type undefined update user value version view void while window worker write'.split(
    ' ',
  )
const shapes = [
  (a: string, b: string, c: string) => `  const ${a} = await ${b}.${c}(${a}Of(${b}), { ${c}: true })`,
  (a: string, b: string, c: string) =>
    `  if (${a}.${b} === undefined) throw new Error('${a} has no ${b} for this ${c}')`,
  (a: string, b: string) => `  return ${a}.map((${b}) => ${b}.id)`,
  (a: string, b: string, c: string) => `  // The ${a} of a ${b} is read once, and kept with its ${c}.`,
  (a: string, b: string, c: string) => `    "${a}": { "${b}": "${c}", "enabled": true },`,
  (a: string, b: string) => `  ${a}: process.env['${b.toUpperCase()}'],`,
  (a: string, b: string, c: string) => `import { ${a}, ${b} } from './${c}.ts'`,
]

function makeTree(root: string, sizeBytes: number): { files: number; planted: number } {
  const draw = createDraw(20_260_101)
  const word = (): string => words[draw(words.length)] ?? ''
  let written = 0
  let files = 0
  let planted = 0
  while (written < sizeBytes) {
    const folder = join(root, `package-${Math.floor(files / 40)}`)
    mkdirSync(folder, { recursive: true })
    const lines = Array.from(
      { length: 40 + draw(500) },
      () => shapes[draw(shapes.length)]?.(word(), word(), word()) ?? '',
    )
    if (files % 50 === 0) {
      const body = createHash('sha256').update(String(files)).digest('hex').slice(0, 40)
      lines.splice(draw(lines.length), 0, `  const pulumi = 'pul-${body}'`)
      planted++
    }
    const text = `${lines.join('\n')}\n`
    writeFileSync(join(folder, `${word()}-${files}.ts`), text)
    written += text.length
    files++
  }
  return { files, planted }
}

type Timed = { seconds: number; findings: number; bytes: number }

async function scanOnce(root: string): Promise<Timed> {
  const started = performance.now()
  const scanner = createScanner({ fingerprintKey: Buffer.alloc(32, 1) })
  const findings: RawFinding[] = []
  let bytes = 0
  for await (const event of scanner.directory(root)) {
    if (event.kind === 'finding') findings.push(event.finding)
    if (event.kind === 'progress') bytes = event.bytesScanned
  }
  return {
    seconds: (performance.now() - started) / 1000,
    findings: groupByFingerprint(findings).length,
    bytes,
  }
}

const peers: Record<string, string[]> = {
  gitleaks: ['dir', '--no-banner', '--exit-code', '0'],
  kingfisher: ['scan', '--no-validate', '--quiet'],
}

/** The best of the rounds, start of the process included; absent when the program is not installed. */
function timePeer(name: string, root: string): number | undefined {
  let best: number | undefined
  for (let round = 0; round < rounds; round++) {
    const started = performance.now()
    const run = spawnSync(name, [...(peers[name] ?? []), root], { stdio: 'ignore' })
    if (run.error) return
    best = Math.min(best ?? Number.POSITIVE_INFINITY, (performance.now() - started) / 1000)
  }
  return best
}

const megabytes = Number(argv[2] ?? 64)
const root = mkdtempSync(join(tmpdir(), 'keyward-bench-scan-'))
try {
  const { files, planted } = makeTree(root, megabytes * 1_000_000)
  const runs: Timed[] = []
  for (let round = 0; round < rounds; round++) runs.push(await scanOnce(root))
  const best = runs.reduce((a, b) => (a.seconds < b.seconds ? a : b))
  const rate = (seconds: number): number => Math.round((best.bytes / 1e6 / seconds) * 10) / 10
  const others = Object.keys(peers).flatMap((name) => {
    const seconds = timePeer(name, root)
    return seconds === undefined
      ? []
      : [{ name, megabytesPerSecond: rate(seconds), ratio: seconds / best.seconds }]
  })
  const report = {
    machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}`,
    tree: { files, megabytes: Math.round(best.bytes / 1e6), planted },
    keyward: {
      megabytesPerSecond: rate(best.seconds),
      rounds: runs.map(({ seconds }) => rate(seconds)),
      findings: best.findings,
      rssMegabytes: Math.round(memoryUsage.rss() / 1e6),
    },
    others: others.length > 0 ? others : 'neither gitleaks nor kingfisher is on the path',
  }
  stdout.write(`${JSON.stringify(report, undefined, 2)}\n`)
} finally {
  rmSync(root, { recursive: true, force: true })
}
