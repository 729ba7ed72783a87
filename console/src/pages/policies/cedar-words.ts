export type Word = {
  kind: 'comment' | 'text' | 'effect' | 'keyword' | 'annotation' | 'entity' | 'plain'
  text: string
}

const grammar =
  /(?<comment>\/\/[^\n]*)|(?<text>"(?:[^"\\]|\\.)*")|(?<annotation>@\w+)|(?<effect>\b(?:permit|forbid)\b)|(?<keyword>\b(?:when|unless|principal|action|resource|context|in|is|has|like|if|then|else|true|false|entity|type|appliesTo|namespace|enum)\b)|(?<entity>\b[A-Z]\w*(?:::\w+)*)/g

/** Splits Cedar into words for colouring. Every character of the source comes back, in order. */
export function cedarWords(source: string): Word[] {
  const words: Word[] = []
  let end = 0
  for (const match of source.matchAll(grammar)) {
    if (match.index > end) words.push({ kind: 'plain', text: source.slice(end, match.index) })
    words.push({ kind: kindOf(match.groups ?? {}), text: match[0] })
    end = match.index + match[0].length
  }
  if (end < source.length) words.push({ kind: 'plain', text: source.slice(end) })
  return words
}

const kinds = ['comment', 'text', 'annotation', 'effect', 'keyword', 'entity'] as const

function kindOf(groups: Record<string, string | undefined>): Word['kind'] {
  return kinds.find((kind) => groups[kind] !== undefined) ?? 'plain'
}

/** What the comment at the head of a policy file says, in one paragraph. */
export function describePolicy(source: string): string {
  const head: string[] = []
  for (const line of source.split('\n')) {
    const said = /^\s*\/\/+ ?(.*)$/.exec(line)?.[1]
    if (said !== undefined) head.push(said.trim())
    else if (line.trim() !== '' || head.length > 0) break
  }
  return head.join(' ').trim()
}

export type Rule = { id: string; effect: 'permit' | 'forbid'; text: string }

const annotated =
  /@id\("(?<id>[^"]+)"\)\s*@description\("(?<text>(?:[^"\\]|\\.)*)"\)\s*(?<effect>permit|forbid)\b/g

/** The rules that say in words what they do, by their `@id` and `@description`. */
export function rulesIn(source: string): Rule[] {
  return [...source.matchAll(annotated)].map(({ groups }) => ({
    id: groups?.['id'] ?? '',
    effect: groups?.['effect'] === 'forbid' ? 'forbid' : 'permit',
    text: (groups?.['text'] ?? '').replaceAll(/\\(.)/g, '$1'),
  }))
}
