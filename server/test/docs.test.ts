// What the documents say is there: links lead somewhere, commands and their options exist, every error code has its page, and
// every row of the specification that is quoted is one.
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { codes } from '@keyward/contract'
import type { Command } from 'commander'
import { groups } from '../src/cli/groups.ts'
import type { CommandNeeds } from '../src/cli/needs.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): string => readFileSync(join(repository, path), 'utf8')
/** Not what is built, nor the README that lies beside the package while it is packed. */
const leftOut = ['**/node_modules/**', '**/dist*/**', '**/project/**', 'server/README.md']
const find = (pattern: string): string[] =>
  globSync(pattern, {
    cwd: repository,
    exclude: leftOut,
  }).sort()
const documents = find('**/*.md')

type Mention = { readonly file: string; readonly line: number; readonly text: string }

test('every link of a document leads to a file and a heading that exist', () => {
  const lost = documents.flatMap((file) =>
    linksOf(read(file))
      .filter((target) => !/^[a-z]+:/.test(target) && !leadsSomewhere(file, target))
      .map((target) => `${file}: ${target}`),
  )
  assert.deepEqual(lost, [])
})

test('a lost link would be seen', () => {
  assert.deepEqual(linksOf('[a](b.md) ![c](d.png) <img src="e.png"> <source srcset="f.png">'), [
    'b.md',
    'd.png',
    'e.png',
    'f.png',
  ])
  assert.equal(leadsSomewhere('README.md', 'docs/nowhere.md'), false)
  assert.equal(leadsSomewhere('README.md', 'SECURITY.md#no-such-heading'), false)
  assert.equal(leadsSomewhere('README.md', 'SECURITY.md#reporting'), true)
})

test('CLI-1: every command and option that a document shows exists', async () => {
  const commands = await commandTree()
  const alerts = find('deploy/**/*.yml')
  assert.ok(alerts.length > 0)
  const wrong = [...documents, ...alerts].flatMap(shownCommands).flatMap(({ file, line, text }) => {
    const problem = problemOf(commands, text)
    return problem ? [`${file}:${line}: ${text}: ${problem}`] : []
  })
  assert.deepEqual(wrong, [])
  assert.equal(problemOf(commands, 'findings forget x'), 'keyward findings has no forget')
  assert.equal(problemOf(commands, 'scan . --colour'), 'keyward scan has no --colour')
  assert.equal(problemOf(commands, 'scan schedule forget x'), 'keyward scan schedule has no forget')
})

test('every script and file that a document runs exists', () => {
  const scripts = new Map(
    ['.', 'server', 'console'].map((folder) => {
      const { name, scripts = {} } = JSON.parse(read(join(folder, 'package.json'))) as {
        name: string
        scripts?: Record<string, string>
      }
      return [folder === '.' ? '' : name, Object.keys(scripts)] as const
    }),
  )
  const missing = documents.flatMap((file) => {
    const text = read(file)
    const run = [...text.matchAll(/npm run ([a-z:-]+)(?: -w ([@a-z/-]+))?/g)].filter(
      ([, script = '', workspace = '']) => !scripts.get(workspace)?.includes(script),
    )
    const files = [...text.matchAll(/\bnode ([\w-]+\/[\w./-]+\.(?:ts|mjs))/g)].filter(
      ([, path = '']) => !existsSync(join(repository, path)),
    )
    return [...run, ...files].map(([shown]) => `${file}: ${shown}`)
  })
  assert.deepEqual(missing, [])
})

test('CLI-1: the README names every command', () => {
  const readme = read('README.md')
  const missing = groups.map(({ name }) => name).filter((name) => !readme.includes(`\`keyward ${name}`))
  assert.deepEqual(missing, [])
})

test('CLI-1: every environment variable of ours that the program reads is explained', () => {
  const explained = read('docs/how-to/cli.md')
  const sources = find('server/src/**/*.ts').filter((file) => !file.endsWith('.test.ts'))
  const names = sources.flatMap((file) => read(file).match(/\bKEYWARD_[A-Z_]+/g) ?? [])
  const missing = [...new Set(names)].filter((name) => !explained.includes(`\`${name}\``))
  assert.deepEqual(missing, [])
})

test('CLI-1: what the README shows of the first run is what was recorded', () => {
  const recorded = read('docs/first-run.txt').split('\n')
  const [, shown = ''] = /```\n\$ npm start -- --yes\n(.*?)```/s.exec(read('README.md')) ?? []
  const invented = shown.split('\n').filter((line) => line !== '…' && !recorded.includes(line))
  assert.deepEqual(invented, [])
  assert.ok(recorded.includes('All of it held.'))
})

test('API-1: every error code has a page of its own, and no page is left over', () => {
  const pages = find('docs/errors/*.*.md').map((path) => path.slice('docs/errors/'.length, -'.md'.length))
  assert.deepEqual(pages, Object.keys(codes).sort())
  const index = read('docs/errors/README.md')
  for (const [code, { status, message }] of Object.entries(codes)) {
    assert.ok(index.includes(`| [${code}](${code}.md) | ${message} | ${status} |`), `${code} in the index`)
    const text = read(`docs/errors/${code}.md`)
    assert.ok(text.startsWith(`# ${code}\n`), `${code}: the title is the code`)
    const [, said] = /HTTP status (\d+)/.exec(text) ?? []
    if (said !== undefined) assert.equal(Number(said), status, `${code}: its HTTP status`)
  }
})

test('every decision stands in the index, under a number of its own', () => {
  const files = find('docs/decisions/[0-9]*.md').map((path) => path.slice('docs/decisions/'.length))
  const index = read('docs/decisions/README.md')
  const numbers = files.map((file) => file.slice(0, 4))
  assert.deepEqual(numbers, [...new Set(numbers)])
  for (const file of files) {
    assert.ok(index.includes(`(${file})`), `${file} is not in the index`)
    assert.match(read(`docs/decisions/${file}`), new RegExp(`^# ${file.slice(0, 4)}: `))
  }
})

test('every row of the specification that a document or a test quotes is one', () => {
  const rows = new Set([...read('docs/rows.md').matchAll(/^\| ([A-Z]+-\d+) \|/gm)].map(([, row]) => row))
  const families = [...new Set([...rows].map((row) => row?.split('-')[0]))].join('|')
  const quoted = new RegExp(`\\b(?:${families})-\\d+\\b`, 'g')
  const sources = [
    ...documents,
    ...find('{server,console,contract}/**/*.test.ts'),
    ...find('server/test/**/*.ts'),
  ]
  const unknown = sources.flatMap((file) =>
    [...read(file).matchAll(quoted)].filter(([row]) => !rows.has(row)).map(([row]) => `${file}: ${row}`),
  )
  assert.deepEqual(unknown, [])
})

test('every test that SECURITY.md names as proof has a test of that row', () => {
  const cells = read('SECURITY.md').match(/\[[\w.-]+\.ts\]\(.*\|$/gm) ?? []
  assert.ok(cells.length > 20)
  const empty = cells.flatMap((cell) => {
    const rows = cell.match(/\b[A-Z]+-\d+\b/g) ?? []
    const files = [...cell.matchAll(/\]\((\S+?)\)/g)].map(([, file = '']) => file)
    return files.filter((file) => !rows.some((row) => proves(file, row))).map((file) => `${file}: ${rows}`)
  })
  assert.deepEqual(empty, [])
})

test('OPS-4: no picture of the documents is larger than 200 kB', () => {
  const large = find('docs/images/*').filter((path) => statSync(join(repository, path)).size > 200_000)
  assert.deepEqual(large, [])
})

/** A suite that several drivers share keeps its tests in the files beside it. */
function proves(file: string, row: string): boolean {
  const folder = file.endsWith('.test.ts') ? [file] : find(`${dirname(file)}/*.ts`)
  return folder.some((path) => read(path).includes(row))
}

function linksOf(text: string): string[] {
  const prose = text
    .replace(/^```.*?^```/gms, '')
    .replace(/`[^`\n]*`/g, (code) => code.replace(/[()[\]]/g, '_'))
  return [...prose.matchAll(/\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)"/g)].map(
    ([, link, attribute]) => link ?? attribute ?? '',
  )
}

function leadsSomewhere(file: string, target: string): boolean {
  const [path = '', heading] = target.split('#')
  const wanted = path === '' ? file : join(dirname(file), path)
  if (!existsSync(join(repository, wanted))) return false
  return heading === undefined || headingsOf(read(wanted)).includes(heading)
}

/** As GitHub makes anchors of headings. */
const headingsOf = (text: string): string[] =>
  [...text.replace(/^```.*?^```/gms, '').matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  )

/** Commands load without being run, so what they need is never asked for. */
async function commandTree(): Promise<Map<string, Command>> {
  const needs = new Proxy({}, { get: () => () => undefined }) as CommandNeeds
  const loaded = await Promise.all(groups.map(async ({ name, load }) => [name, await load(needs)] as const))
  return new Map(loaded)
}

/** What follows `keyward` in code, up to a comment, a pipe or the program that it runs; and the options of `npm start`. */
function shownCommands(file: string): Mention[] {
  const lines = read(file).split('\n')
  let fenced = false
  return lines.flatMap((text, i) => {
    if (text.startsWith('```')) fenced = !fenced
    const indented = file.endsWith('.md') && /^ {4,}\S/.test(text)
    const pieces = fenced || indented ? [text] : [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)
    return pieces.flatMap(commandsIn).map((shown) => ({ file, line: i + 1, text: shown }))
  })
}

function commandsIn(code: string): string[] {
  const own = [...code.matchAll(/(?:^|[\s(;&|"])keyward ([a-z][^|;&)`"<#]*)/g)].map(([, rest = '']) => rest)
  const start = [...code.matchAll(/npm start -- ([^|;&)`"<#]*)/g)].map(([, rest]) => `start ${rest}`)
  return [...own, ...start].map((text) => text.split(/ -- | {2,}/)[0]?.trim() ?? '')
}

function problemOf(commands: ReadonlyMap<string, Command>, text: string): string | undefined {
  const [name = '', ...words] = text.replace(/[.:]$/, '').split(/\s+/)
  let command = commands.get(name)
  if (!command) return name === 'help' ? undefined : `keyward has no ${name}`
  let path = name
  for (const word of words) {
    if (command.commands.length === 0 || word.startsWith('-')) break
    const found: Command | undefined = command.commands.find((candidate) => candidate.name() === word)
    // A command with commands of its own may take an argument all the same: scan does.
    if (!found && command.registeredArguments.length === 0) return `keyward ${path} has no ${word}`
    if (!found) break
    path = `${path} ${word}`
    command = found
  }
  const known = new Set(['--help', '--json', '--address', ...command.options.map(({ long }) => long ?? '')])
  const unknown = words
    .filter((word) => word.startsWith('--') && word !== '--')
    .find((word) => !known.has(word.split('=')[0] ?? ''))
  return unknown ? `keyward ${path} has no ${unknown}` : undefined
}
