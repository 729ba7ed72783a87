// How fast a folder is scanned: `node bench/scan.ts [megabytes] [rounds]`. The tree is source text made from a fixed seed
// and the packages that are installed beside this repository, programs and archives included. Every program is started
// anew, scans everything below the folder, and is timed by the operating system; betterleaks, gitleaks, kingfisher and
// ripsecrets are timed too when they are on the path. Prints JSON.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, globSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { argv, execPath, stdout } from 'node:process'
import { fileURLToPath } from 'node:url'

const repository = fileURLToPath(new URL('..', import.meta.url))

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

type Tree = { files: number; bytes: number; planted: number }

/** Source text as a project of people has it, with a token in every fiftieth file. */
function makeSource(root: string, sizeBytes: number, tree: Tree): void {
  const draw = createDraw(20_260_101)
  const word = (): string => words[draw(words.length)] ?? ''
  for (let count = 0; tree.bytes < sizeBytes; count++) {
    const folder = join(root, `shop-${Math.floor(count / 40)}`)
    mkdirSync(folder, { recursive: true })
    const lines = Array.from(
      { length: 40 + draw(500) },
      () => shapes[draw(shapes.length)]?.(word(), word(), word()) ?? '',
    )
    if (count % 50 === 0) {
      const body = createHash('sha256').update(String(count)).digest('hex').slice(0, 40)
      lines.splice(draw(lines.length), 0, `  const pulumi = 'pul-${body}'`)
      tree.planted++
    }
    const text = `${lines.join('\n')}\n`
    writeFileSync(join(folder, `${word()}-${count}.ts`), text)
    tree.bytes += text.length
    tree.files++
  }
}

/** Installed packages, under a name that no scanner leaves out. */
function copyPackages(root: string, sizeBytes: number, tree: Tree): void {
  const source = join(repository, 'node_modules')
  for (const file of globSync('**/*', { cwd: source }).sort()) {
    if (tree.bytes >= sizeBytes) return
    const status = statSync(join(source, file), { throwIfNoEntry: false })
    if (!status?.isFile() || status.size > 64e6) continue
    const target = join(root, 'packages', file.replaceAll('node_modules', 'packages'))
    mkdirSync(dirname(target), { recursive: true })
    copyFileSync(join(source, file), target)
    tree.bytes += status.size
    tree.files++
  }
}

const programs: Record<string, readonly string[]> = {
  keyward: [
    execPath,
    join(repository, 'server/bin/keyward.mjs'),
    'scan',
    '--no-history',
    '--no-ignore-files',
    '--format',
    'json',
    '--output',
    '/dev/null',
  ],
  betterleaks: ['betterleaks', 'fs'],
  gitleaks: ['gitleaks', 'dir', '--no-banner', '--exit-code', '0'],
  kingfisher: ['kingfisher', 'scan', '--no-validate', '--no-update-check', '--quiet'],
  ripsecrets: ['ripsecrets'],
}

type Cost = { seconds: number; processorSeconds: number; rssMegabytes: number; exitCode: number }

/** Start of the process included; undefined when the program is not installed. */
function timed(command: readonly string[], root: string): Cost | undefined {
  const [program = ''] = command
  if (spawnSync('sh', ['-c', `command -v "${program}"`]).status !== 0) return
  const run = spawnSync('/usr/bin/time', ['-f', '@ %e %U %S %M', ...command, root], {
    stdio: ['ignore', 'ignore', 'pipe'],
    maxBuffer: 256e6,
    timeout: 900_000,
  })
  const figures = /@ ([\d.]+) ([\d.]+) ([\d.]+) (\d+)\n$/.exec(run.stderr.toString())
  if (!figures || run.error) return
  const [seconds = 0, user = 0, system = 0, kilobytes = 0] = figures.slice(1).map(Number)
  return {
    seconds,
    processorSeconds: user + system,
    rssMegabytes: kilobytes / 1024,
    exitCode: run.status ?? -1,
  }
}

const best = (costs: readonly Cost[], of: keyof Cost): number =>
  Math.round(Math.min(...costs.map((cost) => cost[of])) * 100) / 100

const megabytes = Number(argv[2] ?? 400)
const rounds = Number(argv[3] ?? 3)
const root = mkdtempSync(join(tmpdir(), 'keyward-bench-scan-'))
try {
  const tree: Tree = { files: 0, bytes: 0, planted: 0 }
  makeSource(root, megabytes * 0.5e6, tree)
  copyPackages(root, megabytes * 1e6, tree)
  const costs = new Map<string, Cost[]>()
  for (let round = 0; round < rounds; round++) {
    for (const [name, command] of Object.entries(programs)) {
      const cost = timed(command, root)
      if (cost) costs.set(name, [...(costs.get(name) ?? []), cost])
    }
  }
  const figures = [...costs].map(([name, all]) => ({
    name,
    seconds: best(all, 'seconds'),
    processorSeconds: best(all, 'processorSeconds'),
    exitCode: all[0]?.exitCode,
    rssMegabytes: Math.round(Math.max(...all.map((cost) => cost.rssMegabytes))),
  }))
  const own = figures.find(({ name }) => name === 'keyward')
  const report = {
    date: new Date().toISOString(),
    machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}`,
    load: loadavg().map((load) => Math.round(load * 10) / 10),
    tree: { ...tree, bytes: undefined, megabytes: Math.round(tree.bytes / 1e6) },
    programs: figures.map((figure) => ({
      ...figure,
      timesKeyward: own && Math.round((figure.processorSeconds / own.processorSeconds) * 100) / 100,
    })),
  }
  stdout.write(`${JSON.stringify(report, undefined, 2)}\n`)
} finally {
  rmSync(root, { recursive: true, force: true })
}
