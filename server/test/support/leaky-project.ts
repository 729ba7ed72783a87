// A project with planted, generated secrets in many syntaxes, and a search for them in every byte of a folder.
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { createDraws } from './draws.ts'

export type Planted = { readonly name: string; readonly file: string; readonly value: string }
export type LeakyProject = { readonly folder: string; readonly planted: readonly Planted[] }

type MakeShop = (folder: string, options: { seed: string }) => { planted: Planted[] }

const draws = createDraws('leaky project')

export const newPaymentsKey = (): string => `sk_live_${draws.text(24)}`

/** The leaky shop of the examples with other keys, and files that differ in how they are written. */
export async function makeLeakyProject(folder: string): Promise<LeakyProject> {
  const maker = new URL('../../../examples/leaky-shop/make.mjs', import.meta.url)
  const { makeLeakyShop } = (await import(maker.href)) as { makeLeakyShop: MakeShop }
  const { planted } = makeLeakyShop(folder, { seed: draws.hex(8) })
  const own = [
    plant(folder, 'settings.json', (value) => `{\n  "stripe": { "secretKey": "${value}" }\n}\n`),
    plant(folder, 'service/config.toml', (value) => `[payments]\napi_key = "${value}"\n`),
    plant(folder, 'windows/.env', (value) => `# made elsewhere\r\nSTRIPE_KEY=${value}\r\nPORT=80\r\n`),
    plant(folder, 'notes.txt', (value) => Buffer.from(`\ufeffSTRIPE_KEY=${value}\n`, 'utf16le')),
  ]
  chmodSync(join(folder, 'settings.json'), 0o640)
  return { folder, planted: [...planted, ...own] }
}

function plant(folder: string, file: string, content: (value: string) => string | Buffer): Planted {
  const value = newPaymentsKey()
  mkdirSync(dirname(join(folder, file)), { recursive: true })
  writeFileSync(join(folder, file), content(value))
  return { name: file, file, value }
}

export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort()
}

/** Content of every file outside of `.git`. */
export function snapshot(folder: string): Map<string, Buffer> {
  const files = filesBelow(folder).filter((file) => !file.startsWith('.git/'))
  return new Map(files.map((file) => [file, readFileSync(join(folder, file))]))
}

/** As `<file>: <name>`, each place in `folder` where a value stands, in clear or in an encoding that anybody can undo. */
export function leaksIn(folder: string, planted: readonly Pick<Planted, 'name' | 'value'>[]): string[] {
  return filesBelow(folder).flatMap((file) => {
    const bytes = readFileSync(join(folder, file))
    return leaksInBytes(bytes, planted).map((name) => `${file}: ${name}`)
  })
}

export function leaksInBytes(
  bytes: Buffer | string,
  planted: readonly Pick<Planted, 'name' | 'value'>[],
): string[] {
  const searched = Buffer.from(bytes)
  return planted
    .filter(({ value }) => readableForms(value).some((form) => searched.includes(form)))
    .map(({ name }) => name)
}

function readableForms(value: string): Buffer[] {
  const bytes = Buffer.from(value)
  const hex = bytes.toString('hex')
  const forms = [bytes, Buffer.from(value, 'utf16le'), Buffer.from(hex), Buffer.from(hex.toUpperCase())]
  // Base64 of a longer text holds the value at one of three alignments; the characters at its ends depend on its neighbours.
  for (const before of [0, 1, 2]) {
    const whole = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64')
    const text = whole.slice(before === 0 ? 0 : before + 1).replace(/.{1,2}=*$/, '')
    forms.push(Buffer.from(text), Buffer.from(text.replaceAll('+', '-').replaceAll('/', '_')))
  }
  return forms
}
