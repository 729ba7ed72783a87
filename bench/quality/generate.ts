// The labelled set: `generate(part)` gives files, and for each line whether it holds a secret, of which class, made by
// which family. The same seed gives the same set. `unseen` shares no family, no key name and no word with `tuning`.
import { createDraw, type Draw, type Name, written } from './draw.ts'
import { type Family, families, type Kind, secretNames } from './families.ts'
import { innocents, placed } from './placed.ts'
import { tools } from './tools.ts'
import { makeSecret, notSecret, type Part, type SecretClass } from './values.ts'

export type Mark = {
  readonly line: number
  readonly endLine: number
  readonly secret: boolean
  readonly class: string
  readonly family: string
  /** What stands at `%v`; empty for a line that holds nothing like a value. */
  readonly value: string
}
export type LabelledFile = { readonly path: string; readonly text: string; readonly marks: readonly Mark[] }

const classesFor: Record<Kind, readonly SecretClass[]> = {
  password: ['human', 'human', 'weak', 'phrase', 'random'],
  token: ['random', 'random', 'random', 'uuid'],
}

function fill(line: string, name: Name, value: string, user: string): string {
  const filled = line.replace(/%[KkcPdoH]/g, (slot) => written[slot]?.(name) ?? slot)
  return filled.replaceAll('%u', () => user).replaceAll('%v', () => value)
}

/** What the syntax of a place would read differently is left out. */
const fits = (line: string, value: string): boolean =>
  !(/["'`]%v/.test(line) ? /["'`\\]/ : /[\s"'`#;,&|<>(){}[\]\\]/).test(value) &&
  !(/:\/\/%u|-u %u/.test(line) && /[@:/#?]/.test(value)) &&
  !(line.includes('%v&') && /[%+=&]/.test(value))

type Lines = { text: string; mark: Omit<Mark, 'line' | 'endLine'> }

function secretLine(draw: Draw, family: Family, keyed: boolean): Lines | undefined {
  const kind = keyed ? (family.kind ?? draw.pick(['password', 'token'] as const)) : 'password'
  const kinds = classesFor[kind].filter((each) => !family.not?.includes(each))
  const secretClass = draw.pick(kinds)
  const value = makeSecret(draw, family.part, secretClass)
  const line = draw.pick(family.lines)
  if (!fits(line, value)) return
  const name = draw.pick(secretNames[family.part][kind]).split(' ')
  const user = draw.pick(['shop', 'deploy', 'app_user', 'reporting'])
  const label = keyed ? `${kind}/${secretClass}` : `placed/${family.name}`
  return {
    text: fill(line, name, value, user),
    mark: { secret: true, class: label, family: family.name, value },
  }
}

function negativeLine(draw: Draw, family: Family): Lines | undefined {
  const kind = family.kind ?? draw.pick(['password', 'token'] as const)
  const negativeClass = draw.pick(Object.keys(notSecret))
  const value = draw.pick(notSecret[negativeClass]?.[family.part] ?? [])(draw, family.part)
  const line = draw.pick(family.lines)
  const quoted = /["'`]%v/.test(line)
  if (quoted ? /["'`]/.test(value) : /["'`]|^[{[*%@<]/.test(value)) return
  return {
    text: fill(line, draw.pick(secretNames[family.part][kind]).split(' '), value, 'shop'),
    mark: { secret: false, class: negativeClass, family: family.name, value },
  }
}

function innocentLines(draw: Draw, part: Part): { path: string; lines: Lines[] }[] {
  return innocents
    .filter((each) => each.part === part)
    .map((each) => ({
      path: each.file,
      lines: each.lines.map((line) => {
        const value = each.random?.(draw) ?? ''
        const text = line.replaceAll('%r', () => value)
        return { text, mark: { secret: false, class: each.class, family: each.file, value } }
      }),
    }))
}

/** Several files of each family, with secrets and what looks like them side by side. */
export function generate(part: Part, options: { seed?: number; rounds?: number } = {}): LabelledFile[] {
  const draw = createDraw(options.seed ?? (part === 'tuning' ? 11 : 23))
  const files: LabelledFile[] = []
  const add = (path: string, made: readonly (Lines | undefined)[]): void => {
    const kept = made.filter((each) => each !== undefined)
    let line = 1
    const marks: Mark[] = []
    for (const { text, mark } of kept) {
      const lines = text.split('\n').length
      marks.push({ line, endLine: line + lines - 1, ...mark })
      // A blank line between, so that no rule that reads several lines joins two of them.
      line += lines + 1
    }
    files.push({
      path: `${files.length}/${path}`,
      text: `${kept.map(({ text }) => text).join('\n\n')}\n`,
      marks,
    })
  }
  for (let round = 0; round < (options.rounds ?? 6); round++) {
    for (const family of [...families, ...tools].filter((each) => each.part === part)) {
      const lines = Array.from({ length: 10 }, (_, at) =>
        at % 2 === 0 ? secretLine(draw, family, true) : negativeLine(draw, family),
      )
      add(draw.pick(family.files), lines)
    }
    for (const family of placed.filter((each) => each.part === part)) {
      add(
        draw.pick(family.files),
        Array.from({ length: 4 }, () => secretLine(draw, family, false)),
      )
    }
    for (const { path, lines } of innocentLines(draw, part)) add(path, lines)
  }
  return files
}
