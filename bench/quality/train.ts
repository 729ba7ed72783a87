// Trains the model for generic secrets: `node bench/quality/train.ts [--evaluate]`. What is no secret: every value that
// a key with such a name is given in the packages of this repository's node_modules, and the other quoted words there,
// of which there are many more. What is one: passwords that people
// are known to choose (@zxcvbn-ts, fetched by npm at the versions below), words of eleven languages that are put together the same way, and
// random texts in the alphabets that services use. Writes server/src/scan/generic/weights.json; `--evaluate` keeps the
// file, trains on four fifths of both and prints how well it judges the rest.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { globSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stdout } from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { assignmentKeywords, readAssigned } from '../../server/src/scan/generic/assigned.ts'
import { cells, type Feature, featuresOf, type Sight } from '../../server/src/scan/generic/features.ts'
import { isLoose } from '../../server/src/scan/key-name.ts'
import { isHarmless } from '../../server/src/scan/plausible.ts'
import { syntaxOf } from '../../server/src/scan/syntax.ts'
import { alphabets, createDraw, type Draw } from './draw.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const common = '@zxcvbn-ts/language-common@4.1.3'
/** People choose passwords in their own language. */
const languages = [
  'en@4.1.1',
  'de@3.0.2',
  'fr@4.1.2',
  'es-es@4.1.2',
  'it@3.0.2',
  'pt-br@4.1.1',
  'pl@3.0.2',
  'nl-be@3.0.2',
  'cs@3.0.1',
  'fi@3.0.2',
  'id@4.1.1',
]
/** The most usual ones of each list. */
const wordsOfList = 6000

type Words = { passwords: string[]; languages: string[][] }

/** The lists lie in packages of their own, which the repository does not depend on. */
async function readWords(): Promise<Words> {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-train-'))
  try {
    const lists = [common, ...languages.map((language) => `@zxcvbn-ts/language-${language}`)]
    const install = ['install', '--prefix', folder, '--no-audit', '--no-fund', '--ignore-scripts', ...lists]
    const run = spawnSync('npm', install, { encoding: 'utf8' })
    if (run.status !== 0) throw new Error(`npm ${install.join(' ')}: ${run.stderr}`)
    const dictionary = async (list: string): Promise<Record<string, string[]>> => {
      const name = list.slice(0, list.lastIndexOf('@'))
      const read = createRequire(join(folder, 'node_modules', name, 'package.json'))
      return ((await import(pathToFileURL(read.resolve(name)).href)) as Dictionary).dictionary
    }
    const shared = await dictionary(common)
    const words: string[][] = []
    for (const list of lists.slice(1)) words.push(wordsIn(await dictionary(list)))
    words[0]?.push(...(shared['diceware-common'] ?? []))
    return { passwords: shared['passwords-common'] ?? [], languages: words }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

type Dictionary = { dictionary: Record<string, string[]> }

/** Words and names, in the letters that a keyboard of any country has. */
const wordsIn = (dictionary: Dictionary['dictionary']): string[] =>
  Object.entries(dictionary)
    .filter(([name]) => /^(?:commonWords|\w*firstnames|lastnames)/i.test(name))
    .flatMap(([, words]) => words.slice(0, wordsOfList))
    .filter((word) => /^[a-z]{3,14}$/.test(word))

const extensions = 'js,mjs,cjs,ts,mts,json,md,yml,yaml,html,css,sh,toml,xml,py,txt'
const keyword = new RegExp(assignmentKeywords.join('|'), 'gi')

const kinds = ['password', 'token', 'loose'] as const
const quoted = /(?<open>["'`])(?<value>[^\s"'`\\]{4,80})\k<open>/g
/** One quoted word in so many is enough. */
const oneIn = 2

/** Every value that is given to such a key in the packages, once for each kind of key, and a share of all quoted words. */
function readInnocent(): Sight[] {
  const seen = new Map<string, Sight>()
  for (const file of globSync(`node_modules/**/*.{${extensions}}`, { cwd: root }).sort()) {
    const path = join(root, file)
    const status = statSync(path)
    if (!status.isFile() || status.size > 400_000) continue
    const contents = readFileSync(path, 'latin1')
    for (const sight of [...assignedIn(contents, file), ...quotedIn(contents)]) {
      seen.set(`${sight.kind} ${sight.value}`, sight)
    }
  }
  return [...seen.values()]
}

function* quotedIn(contents: string): Generator<Sight> {
  for (const { groups } of contents.matchAll(quoted)) {
    const value = groups?.['value'] ?? ''
    const draw = hashOf(value)
    const kind = kinds[(draw >>> 8) % kinds.length]
    if (draw % oneIn === 0 && kind && !isHarmless(value)) yield { value, kind }
  }
}

const hashOf = (value: string): number => createHash('sha256').update(value).digest().readUInt32BE()

function* assignedIn(contents: string, file: string): Generator<Sight> {
  const syntax = syntaxOf(file)
  for (const { index } of contents.matchAll(keyword)) {
    const from = Math.max(0, index - 112)
    const text = contents.slice(from, index + 1200)
    const assigned = readAssigned({ text, at: index - from, syntax })
    if (!assigned) continue
    const value = text.slice(assigned.start, assigned.end)
    // What the rules refuse anyway teaches nothing.
    if (value.length < 4 || value.length > 200 || /\s/.test(value) || isHarmless(value)) continue
    yield { value, kind: isLoose(assigned.key) ? 'loose' : assigned.kind }
  }
}

const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)
const leet = (word: string): string =>
  word.replace(/[aeios]/g, (char) => ({ a: '@', e: '3', i: '1', o: '0', s: '$' })[char] ?? char)

const joins = ['', '', '_', '-', '.', '@', '#', '!', '$', '*', '&']
const tails = ['', '', '!', '!!', '?', '#', '$', '@', '*', '.', '01', '007', '123']
/** How a word is written in a password. */
const spelt: ((word: string) => string)[] = [
  (word) => word,
  capital,
  leet,
  (word) => capital(leet(word)),
  (word) => word.toUpperCase(),
]
const habits: ((draw: Draw, word: () => string) => string)[] = [
  (draw, word) => `${draw.pick(spelt)(word())}${draw.pick(joins)}${draw.below(10_000)}${draw.pick(tails)}`,
  (draw, word) => `${draw.pick(spelt)(word())}${draw.pick(joins)}${1950 + draw.below(90)}${draw.pick(tails)}`,
  (draw, word) => `${draw.below(1000)}${draw.pick(joins)}${draw.pick(spelt)(word())}${draw.pick(tails)}`,
  (draw, word) =>
    `${draw.pick(spelt)(word())}${draw.pick(joins)}${draw.pick(spelt)(word())}${draw.pick(joins)}${draw.below(1000)}${draw.pick(tails)}`,
  (draw, word) =>
    `${draw.pick(['i', 'my', 'our', 'the', 'love'])}${capital(word())}${draw.below(1000)}${draw.pick(tails)}`,
  (draw, word) => `${capital(word())}${capital(word())}${draw.pick(['!', '1', '123', '$', '2024'])}`,
  (draw, word) => Array.from({ length: 3 + draw.below(3) }, word).join(draw.pick(['-', '-', '.', '_', ''])),
  (draw) => draw.chars(alphabets.base62 + alphabets.symbols, 8 + draw.below(16)),
  (draw) => draw.chars(alphabets.base62 + alphabets.symbols, 8 + draw.below(16)),
  (draw) => draw.chars(alphabets.base62 + alphabets.keyboard, 8 + draw.below(16)),
  (draw) => draw.chars(alphabets.base62, 8 + draw.below(16)),
  (draw) =>
    [alphabets.lower, alphabets.digits, draw.pick([alphabets.lower, alphabets.upper, alphabets.symbols])]
      .map((alphabet) => draw.chars(alphabet, 2 + draw.below(3)))
      .join(draw.pick(['', '', '-'])),
  (draw) => draw.chars(alphabets.base36, 8 + draw.below(12)),
]
const tokens: ((draw: Draw) => string)[] = [
  (draw) => draw.chars(alphabets.base62, 16 + draw.below(48)),
  (draw) => draw.chars(alphabets.hex, draw.pick([24, 32, 32, 40, 48, 64, 64])),
  (draw) => draw.chars(alphabets.hex, 32).toUpperCase(),
  (draw) => draw.chars(alphabets.base36, 16 + draw.below(32)),
  (draw) => draw.chars(alphabets.url, 20 + draw.below(44)),
  (draw) => `${draw.chars(alphabets.base64, 43)}=`,
  (draw) => `${draw.chars(alphabets.base64, 86)}==`,
  (draw) =>
    `${draw.chars(alphabets.base36, 3 + draw.below(5))}_${draw.chars(alphabets.base62, 24 + draw.below(16))}`,
  (draw) => Array.from({ length: 3 + draw.below(3) }, () => draw.chars(alphabets.base36, 5)).join('-'),
]

/** As many as there are innocent values of each kind, so that neither side is the likelier one. */
function makeSecrets(
  draw: Draw,
  { passwords, languages }: Words,
  count: Record<Sight['kind'], number>,
): Sight[] {
  // A password is made in one language; half of them in the first.
  let words: readonly string[] = []
  const word = (): string => draw.pick(words)
  const chosen = passwords.filter((each) => each.length >= 6 && !isHarmless(each))
  const human = (): string => {
    words = draw.chance(50) ? (languages[0] ?? []) : draw.pick(languages)
    return draw.chance(40) ? draw.pick(chosen) : draw.pick(habits)(draw, word)
  }
  const made: Sight[] = []
  for (const kind of kinds) {
    for (let at = 0; at < Math.min(20_000, count[kind]); at++) {
      const byMachine = kind === 'password' ? draw.chance(30) : kind === 'loose' || draw.chance(92)
      made.push({ kind, value: byMachine ? draw.pick(tokens)(draw) : human() })
    }
  }
  return made
}

type Example = { readonly features: readonly Feature[]; readonly secret: boolean; readonly weight: number }

type Fitted = { readonly weights: Float64Array; readonly bias: number }

function likelihoodIn({ weights, bias }: Fitted, features: readonly Feature[]): number {
  const sum = features.reduce((all, [cell, strength]) => all + strength * (weights[cell] ?? 0), bias)
  return 1 / (1 + Math.exp(-sum))
}

/** Logistic regression with a step of its own for each cell (AdaGrad) and a pull to zero. */
function fit(draw: Draw, examples: readonly Example[]): Fitted {
  const weights = new Float64Array(cells)
  const squares = new Float64Array(cells).fill(1e-6)
  let bias = 0
  for (let round = 0; round < 12; round++) {
    for (let step = 0; step < examples.length; step++) {
      const { features, secret, weight } = draw.pick(examples)
      const slope = weight * (likelihoodIn({ weights, bias }, features) - (secret ? 1 : 0))
      bias -= 0.002 * slope
      for (const [cell, strength] of features) {
        const pull = slope * strength + 2e-5 * (weights[cell] ?? 0)
        squares[cell] = (squares[cell] ?? 0) + pull * pull
        weights[cell] = (weights[cell] ?? 0) - (0.12 * pull) / Math.sqrt(squares[cell] ?? 1)
      }
    }
  }
  return { weights, bias }
}

function toExamples(innocent: readonly Sight[], secrets: readonly Sight[]): Example[] {
  const weightOf = (kind: Sight['kind'], secret: boolean): number => {
    const here = (secret ? secrets : innocent).filter((each) => each.kind === kind).length
    return Math.min(4, 10_000 / Math.max(1, here))
  }
  const cache = new Map<string, number>()
  const weigh = (kind: Sight['kind'], secret: boolean): number => {
    const name = `${kind} ${secret}`
    const known = cache.get(name) ?? weightOf(kind, secret)
    cache.set(name, known)
    return known
  }
  const all = [
    ...innocent.map((sight) => ({ sight, secret: false })),
    ...secrets.map((sight) => ({ sight, secret: true })),
  ]
  return all.map(({ sight, secret }) => ({
    features: featuresOf(sight),
    secret,
    weight: weigh(sight.kind, secret),
  }))
}

/** One in five, by the value, so that the same value is never on both sides. */
const isHeldBack = ({ value }: Sight): boolean => (hashOf(value) >>> 16) % 5 === 0

function evaluate(innocent: readonly Sight[], secrets: readonly Sight[], draw: Draw): unknown {
  const kept = (all: readonly Sight[]): Sight[] => all.filter((each) => !isHeldBack(each))
  const fitted = fit(draw, toExamples(kept(innocent), kept(secrets)))
  const judge = (sight: Sight): number => likelihoodIn(fitted, featuresOf(sight))
  const report: Record<string, unknown> = {}
  for (const kind of kinds) {
    const of = (all: readonly Sight[]): number[] =>
      all.filter((each) => each.kind === kind && isHeldBack(each)).map(judge)
    const good = of(innocent)
    const bad = of(secrets)
    const above = (all: readonly number[], bound: number): number =>
      Math.round((1000 * all.filter((each) => each >= bound).length) / Math.max(1, all.length)) / 1000
    report[kind] = {
      innocent: good.length,
      secrets: bad.length,
      ...Object.fromEntries(
        [0.3, 0.5, 0.7, 0.9, 0.97].map((bound) => [
          `at ${bound}`,
          `recall ${above(bad, bound)}, false alarms ${above(good, bound)}`,
        ]),
      ),
    }
  }
  return report
}

const { values } = parseArgs({ options: { evaluate: { type: 'boolean' } } })
const draw = createDraw(20_261_121)
const innocent = readInnocent()
const count = { password: 0, token: 0, loose: 0 }
for (const { kind } of innocent) count[kind]++
const secrets = makeSecrets(draw, await readWords(), count)
if (values.evaluate) {
  stdout.write(`${JSON.stringify(evaluate(innocent, secrets, draw), undefined, 2)}\n`)
} else {
  const { weights, bias } = fit(draw, toExamples(innocent, secrets))
  const scale = Math.max(...weights.map(Math.abs)) / 127
  const bytes = Buffer.from(Int8Array.from(weights, (weight) => Math.round(weight / scale)).buffer)
  const model = {
    scale: Number(scale.toPrecision(6)),
    bias: Number(bias.toPrecision(6)),
    weights: bytes.toString('base64'),
  }
  writeFileSync(join(root, 'server/src/scan/generic/weights.json'), `${JSON.stringify(model)}\n`)
  stdout.write(`${JSON.stringify({ innocent: count, secrets: secrets.length, weights: cells })}\n`)
}
