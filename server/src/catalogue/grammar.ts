/** A wording of goals: words, `{slot}` for one word or quoted text, `[what may be left out]`, `(one|or the other)`, `[one|or the other|or none]`. */
export type Wording = {
  readonly slots: readonly string[]
  /** The slots, when a text is worded so. `words` counts what fitted word by word: the more, the surer. */
  fit(text: string): Fit | undefined
}

export type Fit = { readonly slots: Readonly<Record<string, string>>; readonly words: number }

type Part =
  | { readonly kind: 'word'; readonly word: string }
  | { readonly kind: 'slot'; readonly name: string }
  | { readonly kind: 'choice'; readonly ways: readonly (readonly Part[])[] }

const longestPattern = 300
/** So that no pattern takes long: each choice at most doubles the ways. */
const mostChoices = 12

/** Throws an error with words for who wrote the pattern. */
export function compileWording(pattern: string): Wording {
  if (pattern.length > longestPattern) throw new Error(`a wording has at most ${longestPattern} characters`)
  const tokens = pattern.match(/\{[^{}]*\}|[[\]()|]|[^\s[\]()|{}]+|[{}]/g) ?? []
  const reader = { tokens, at: 0, choices: 0 }
  const parts = readSequence(reader, '')
  if (reader.choices > mostChoices) throw new Error(`a wording has at most ${mostChoices} choices`)
  const slots = slotsOf(parts)
  if (new Set(slots).size < slots.length && hasTwiceInOneWay(parts)) throw new Error('a slot stands twice')
  if (!parts.some(({ kind }) => kind !== 'slot')) throw new Error('a wording needs a word of its own')
  return { slots: [...new Set(slots)], fit: (text) => fitOf(parts, wordsOf(text)) }
}

type TokenReader = { readonly tokens: readonly string[]; at: number; choices: number }

function readSequence(reader: TokenReader, until: string): Part[] {
  const parts: Part[] = []
  while (reader.at < reader.tokens.length) {
    const token = reader.tokens[reader.at] ?? ''
    if (token === until || (token === '|' && until !== '')) return parts
    reader.at += 1
    parts.push(partOf(token, reader))
  }
  if (until !== '') throw new Error(`'${until}' is missing`)
  return parts
}

function partOf(token: string, reader: TokenReader): Part {
  if (token === '[') return readChoice(reader, ']', [[]])
  if (token === '(') return readChoice(reader, ')', [])
  const [, name] = /^\{([a-z][A-Za-z0-9]{0,39})\}$/.exec(token) ?? []
  if (name !== undefined) return { kind: 'slot', name }
  if (/[[\](){}|]/.test(token)) throw new Error(`'${token}' stands where it says nothing`)
  return { kind: 'word', word: token.toLowerCase() }
}

function readChoice(reader: TokenReader, until: ']' | ')', ways: Part[][]): Part {
  reader.choices += 1
  for (;;) {
    ways.push(readSequence(reader, until))
    const end = reader.tokens[reader.at]
    reader.at += 1
    if (end === until) return { kind: 'choice', ways }
  }
}

const slotsOf = (parts: readonly Part[]): string[] =>
  parts.flatMap((part) =>
    part.kind === 'slot' ? [part.name] : part.kind === 'choice' ? part.ways.flatMap(slotsOf) : [],
  )

/** The same slot may stand in several ways of a choice, but only one of them is ever gone. */
function hasTwiceInOneWay(parts: readonly Part[]): boolean {
  const seen = new Set<string>()
  return parts.some((part) => {
    if (part.kind === 'choice' && part.ways.some(hasTwiceInOneWay)) return true
    const names = new Set(slotsOf([part]))
    const twice = [...names].some((name) => seen.has(name))
    for (const name of names) seen.add(name)
    return twice
  })
}

/** Quoted text is one word; marks at the end of a word are no part of it. */
function wordsOf(text: string): string[] {
  const found = text.match(/"[^"]*"|'[^']*'|\S+/g) ?? []
  return found
    .map((word) => (/^(["']).*\1$/.test(word) ? word.slice(1, -1) : word.replace(/[.,!?;:]+$/, '')))
    .filter((word) => word !== '')
}

function fitOf(parts: readonly Part[], words: readonly string[]): Fit | undefined {
  for (const { at, fit } of ways(parts, words, 0)) if (at === words.length) return fit
  return undefined
}

type Way = { readonly at: number; readonly fit: Fit }
const nothing: Fit = { slots: {}, words: 0 }

function* ways(parts: readonly Part[], words: readonly string[], at: number): Iterable<Way> {
  const [part, ...rest] = parts
  if (!part) {
    yield { at, fit: nothing }
    return
  }
  for (const first of waysOf(part, words, at))
    for (const { at: end, fit } of ways(rest, words, first.at))
      yield {
        at: end,
        fit: { slots: { ...first.fit.slots, ...fit.slots }, words: first.fit.words + fit.words },
      }
}

function* waysOf(part: Part, words: readonly string[], at: number): Iterable<Way> {
  const word = words[at]
  if (part.kind === 'choice') for (const way of [...part.ways].reverse()) yield* ways(way, words, at)
  else if (word === undefined) return
  else if (part.kind === 'slot') yield { at: at + 1, fit: { slots: { [part.name]: word }, words: 0 } }
  else if (word.toLowerCase() === part.word) yield { at: at + 1, fit: { slots: {}, words: 1 } }
}
