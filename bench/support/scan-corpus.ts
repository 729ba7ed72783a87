import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, globSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** What was made, the same on every machine. */
export type Corpus = { files: number; bytes: number; commits: number; planted: number }

/** Numbers from a seed (xorshift32). */
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

function createWriter(seed: number) {
  const draw = createDraw(seed)
  const word = (): string => words[draw(words.length)] ?? ''
  const line = (): string => shapes[draw(shapes.length)]?.(word(), word(), word()) ?? ''
  return { draw, word, lines: (count: number): string[] => Array.from({ length: count }, line) }
}

const tokenLine = (count: number): string =>
  `  const pulumi = 'pul-${createHash('sha256').update(String(count)).digest('hex').slice(0, 40)}'`

/** Source text as a project of people has it, with a token in every fiftieth file. */
export function makeSource(root: string, sizeBytes: number, made: Corpus): void {
  const { draw, word, lines: drawn } = createWriter(20_260_101)
  for (let count = 0; made.bytes < sizeBytes; count++) {
    const folder = join(root, `shop-${Math.floor(count / 40)}`)
    mkdirSync(folder, { recursive: true })
    const lines = drawn(40 + draw(500))
    if (count % 50 === 0) {
      lines.splice(draw(lines.length), 0, tokenLine(count))
      made.planted++
    }
    const text = `${lines.join('\n')}\n`
    writeFileSync(join(folder, `${word()}-${count}.ts`), text)
    made.bytes += text.length
    made.files++
  }
}

/** The packages installed in `source`, under a name that no scanner leaves out. */
export function copyPackages(source: string, root: string, sizeBytes: number, made: Corpus): void {
  for (const file of globSync('**/*', { cwd: source }).sort()) {
    if (made.bytes >= sizeBytes) return
    const status = statSync(join(source, file), { throwIfNoEntry: false })
    if (!status?.isFile() || status.size > 64e6) continue
    const target = join(root, 'packages', file.replaceAll('node_modules', 'packages'))
    mkdirSync(dirname(target), { recursive: true })
    copyFileSync(join(source, file), target)
    made.bytes += status.size
    made.files++
  }
}

/**
 * A repository of `commits` commits on one branch and one more on each of some others: files grow, lines come, change and
 * go, and in every five hundredth commit a token comes that the next one takes out. Packed as after a clone.
 */
export async function makeHistory(root: string, commits: number, made: Corpus): Promise<void> {
  mkdirSync(root, { recursive: true })
  await ran('git', ['-C', root, 'init', '-q', '-b', 'main'])
  const git = spawn('git', ['-C', root, 'fast-import', '--quiet'], { stdio: ['pipe', 'inherit', 'inherit'] })
  const ended = once(git, 'close')
  for (const text of historyOf(commits, made)) if (!git.stdin.write(text)) await once(git.stdin, 'drain')
  git.stdin.end()
  const [status] = await ended
  if (status !== 0) throw new Error(`git fast-import ended with ${status}`)
  await ran('git', ['-C', root, 'repack', '-adfq'])
}

type ProjectFile = { readonly path: string; readonly lines: string[] }

/** Files that change as people change them. */
function createProject() {
  const { draw, word, lines: drawn } = createWriter(20_270_101)
  const files: ProjectFile[] = []

  function changed(): ProjectFile[] {
    const chosen = Array.from({ length: 1 + draw(3) }, () => files[draw(files.length)])
    return [...new Set([files.at(-1), ...chosen])].filter((file) => file !== undefined)
  }

  return {
    next(count: number): ProjectFile[] {
      if (files.length < 50 || count % 40 === 0) {
        const path = `shop-${files.length % 12}/${word()}-${files.length}.ts`
        files.push({ path, lines: drawn(60 + draw(300)) })
      }
      const now = changed()
      for (const { lines } of now) lines.splice(draw(lines.length), draw(8), ...drawn(draw(10)))
      return now
    },
    notes: (): string[] => drawn(20),
  }
}

function* historyOf(commits: number, made: Corpus): Generator<string> {
  const project = createProject()
  for (let count = 1; count <= commits; count++) {
    const contents = project.next(count).map(({ path, lines }) => contentsOf(path, lines, made))
    const leaks = count % 500 === 0
    if (leaks) made.planted++
    if (count % 500 < 2) contents.push(contentsOf('shop.env', leaks ? [tokenLine(count)] : ['A=1'], made))
    made.commits++
    yield commitOf('main', count, contents)
    if (count % 2000 !== 0) continue
    made.commits++
    const notes = contentsOf('NOTES.md', project.notes(), made)
    yield commitOf(`release-${count}`, count, [notes], 'from refs/heads/main\n')
  }
  yield 'done\n'
}

const commitOf = (branch: string, count: number, contents: readonly string[], from = ''): string => {
  const message = `commit ${count}`
  return (
    `commit refs/heads/${branch}\ncommitter Ada <ada@example.com> ${1_600_000_000 + count * 600} +0000\n` +
    `data ${message.length}\n${message}\n${from}${contents.join('')}\n`
  )
}

function contentsOf(path: string, lines: readonly string[], made: Corpus): string {
  const text = `${lines.join('\n')}\n`
  made.files++
  made.bytes += text.length
  return `M 100644 inline ${path}\ndata ${text.length}\n${text}\n`
}

async function ran(command: string, args: readonly string[]): Promise<void> {
  const [status] = await once(spawn(command, args, { stdio: 'inherit' }), 'close')
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}`)
}
